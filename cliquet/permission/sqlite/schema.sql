-- Which principals users have beside their own id.
CREATE TABLE IF NOT EXISTS user_principals (
    user_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (user_id, principal)
) WITHOUT ROWID;

-- To take a principal from every user.
CREATE INDEX IF NOT EXISTS user_principals_by_principal
    ON user_principals (principal);

-- Which principals have a permission on an object.
CREATE TABLE IF NOT EXISTS access_control_entries (
    object_id TEXT NOT NULL,
    permission TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (object_id, permission, principal)
) WITHOUT ROWID;

-- To list what a principal may do, as far as ids begin alike.
CREATE INDEX IF NOT EXISTS access_control_entries_by_principal
    ON access_control_entries (principal, permission, object_id);
