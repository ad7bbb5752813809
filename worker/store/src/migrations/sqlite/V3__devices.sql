-- Hostnames that differ only in the case of their letters are one name, as in DNS. Devices that had such names before keep them: the
-- first has the folded name, and the others have none, as devices that an older program creates.
ALTER TABLE device ADD COLUMN hostname_folded TEXT;
-- Who last marked it as synchronized.
ALTER TABLE device ADD COLUMN marked_at INTEGER;
ALTER TABLE device ADD COLUMN marked_by TEXT;
ALTER TABLE device ADD COLUMN marked_note TEXT;
UPDATE device SET hostname_folded = lower(hostname)
    WHERE id IN (SELECT min(id) FROM device GROUP BY lower(hostname));
CREATE UNIQUE INDEX device_hostname_folded ON device (hostname_folded);

-- The note of the operator who sent the message.
ALTER TABLE cause ADD COLUMN note TEXT;
