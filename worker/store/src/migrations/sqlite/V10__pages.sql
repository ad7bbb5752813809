-- Pages of the members of a group, and of the clients of an interface or a group, are ranges of an index.
DROP INDEX group_member_group;
CREATE INDEX group_member_group ON group_member (group_id, device_id);
DROP INDEX client_interface;
CREATE INDEX client_interface ON client (interface_id, id);
DROP INDEX client_group;
CREATE INDEX client_group ON client (group_id, id);
