-- What the permission backend keeps in the database, version 1. All text is escaped (see
-- cliquet.permission.text), and ordered by code point.

-- Which principals users have beside their own id.
CREATE TABLE cliquet_user_principals (
    user_id text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, principal)
);

-- To take a principal from every user.
CREATE INDEX cliquet_user_principals_by_principal ON cliquet_user_principals (principal);

-- Which principals have a permission on an object.
CREATE TABLE cliquet_access_control_entries (
    object_id text COLLATE "C" NOT NULL,
    permission text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    PRIMARY KEY (object_id, permission, principal)
);

-- To list what a principal may do, as far as ids begin alike.
CREATE INDEX cliquet_access_control_entries_by_principal
    ON cliquet_access_control_entries (principal, permission, object_id);

-- Grants permissions on an object to some principals, and to nobody else. Those who do so on
-- one object take turns; 811507 keeps this lock apart from those of other programs.
CREATE FUNCTION cliquet_replace_permissions(
    of_object text, replaced text[], permissions text[], principals text[])
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(811507, hashtext(of_object));
    DELETE FROM cliquet_access_control_entries
        WHERE object_id = of_object AND permission = ANY(replaced);
    INSERT INTO cliquet_access_control_entries (object_id, permission, principal)
        SELECT of_object, permission, principal
        FROM unnest(permissions, principals) AS given (permission, principal)
        ON CONFLICT DO NOTHING;
END $$;
