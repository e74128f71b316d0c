-- Version 2: the checksum of each collection: see cliquet/storage/checksums.py.
ALTER TABLE collections ADD COLUMN time_sum INTEGER NOT NULL DEFAULT 0;

ALTER TABLE collections ADD COLUMN cube_sum INTEGER NOT NULL DEFAULT 0;

UPDATE collections SET (count, time_sum, cube_sum) = (
    SELECT
        count(*),
        coalesce(sum((last_modified % 67108859 + 67108859) % 67108859) % 67108859, 0),
        coalesce(sum(residue * residue % 67108837 * residue % 67108837) % 67108837, 0)
    FROM (
        SELECT last_modified, (last_modified % 67108837 + 67108837) % 67108837 AS residue
        FROM records WHERE collection = collections.id
    )
);
