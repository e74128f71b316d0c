-- Schema of the permission backend, version 1. All strings are escaped (see
-- cliquet.drivers.escaping), and ordered by code point.

-- The principals of users, except their own id.
CREATE TABLE cliquet_user_principals (
    user_id text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, principal)
);

-- To remove a principal from all users.
CREATE INDEX cliquet_user_principals_by_principal ON cliquet_user_principals (principal);

-- The principals that have a permission on an object.
CREATE TABLE cliquet_access_control_entries (
    object_id text COLLATE "C" NOT NULL,
    permission text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    PRIMARY KEY (object_id, permission, principal)
);

-- To list the objects that a principal has access to, by the beginning of their ids.
CREATE INDEX cliquet_access_control_entries_by_principal
    ON cliquet_access_control_entries (principal, permission, object_id);
