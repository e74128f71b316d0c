-- The principals of users, except their own id.
CREATE TABLE IF NOT EXISTS user_principals (
    user_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (user_id, principal)
) WITHOUT ROWID;

-- To remove a principal from all users.
CREATE INDEX IF NOT EXISTS user_principals_by_principal
    ON user_principals (principal);

-- The principals that have a permission on an object.
CREATE TABLE IF NOT EXISTS access_control_entries (
    object_id TEXT NOT NULL,
    permission TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (object_id, permission, principal)
) WITHOUT ROWID;

-- To list the objects that a principal has access to, by the beginning of their ids.
CREATE INDEX IF NOT EXISTS access_control_entries_by_principal
    ON access_control_entries (principal, permission, object_id);
