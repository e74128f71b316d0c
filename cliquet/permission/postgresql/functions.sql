-- Functions of the permission backend, replaced after each migration.

-- Grants permissions on an object to some principals, and to no others. Concurrent calls for one
-- object are serialized; 811507 distinguishes this advisory lock from those of other programs.
CREATE OR REPLACE FUNCTION cliquet_replace_permissions(
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
