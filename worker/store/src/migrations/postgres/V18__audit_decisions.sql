-- What workers decided about commands, beside what consoles were about to publish.
ALTER TABLE audit
    -- applied, refused or dead. Null for an entry of a console.
    ADD COLUMN outcome text,
    -- Why a command is rejected.
    ADD COLUMN code text,
    -- The user as which the command was published at the broker.
    ADD COLUMN broker_user text,
    -- The trace that it belongs to: 32 hexadecimal digits.
    ADD COLUMN trace_id text;

-- What was asked and what was decided about a message.
CREATE INDEX audit_message ON audit (message_id, number);

-- Entries are added, and deleted when they are older than the shortest retention (`retention.audit` is at least a day). This holds for all
-- logins but the owner of the schema, whatever they run.
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_read ON audit FOR SELECT USING (true);
CREATE POLICY audit_add ON audit FOR INSERT WITH CHECK (true);
CREATE POLICY audit_expire ON audit FOR DELETE USING (at < clock_timestamp() - interval '1 day');
