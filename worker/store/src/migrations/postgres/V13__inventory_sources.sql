-- How far the change logs of NetBox and Nautobot were read, for each configured source.
CREATE TABLE inventory_source (
    name text COLLATE "C" PRIMARY KEY,
    -- Nothing before this time is read, and everything until the other one was read; null before the first poll that succeeded.
    begins timestamptz,
    read_until timestamptz,
    succeeded_at timestamptz,
    -- Why the last poll failed, and the first and the last one that failed since the last one that did not; null if it did not fail.
    error text,
    error_since timestamptz,
    error_at timestamptz
);
