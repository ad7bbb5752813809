-- What workers decided about commands, beside what consoles were about to publish.

-- applied, refused or dead. Null for an entry of a console.
ALTER TABLE audit ADD COLUMN outcome TEXT;
-- Why a command is rejected.
ALTER TABLE audit ADD COLUMN code TEXT;
-- The user as which the command was published at the broker.
ALTER TABLE audit ADD COLUMN broker_user TEXT;
-- The trace that it belongs to: 32 hexadecimal digits.
ALTER TABLE audit ADD COLUMN trace_id TEXT;

-- What was asked and what was decided about a message.
CREATE INDEX audit_message ON audit (message_id, number);
