-- Objects in S3, through httpfs. DuckDB has no statement that deletes one; ducklake deletes files that a lake does not
-- need any more, so objects are deleted as such files of a lake in memory, called bin.

-- copy_file --
-- Copy one file, whichever of the two names is in S3.
COPY (SELECT content FROM read_blob($source)) TO $target (FORMAT blob);

-- sizes --
-- The names and sizes of the objects that match; both come from the server's list, and no content is read.
SELECT filename, size FROM read_blob($pattern);

-- schedule_deletion --
-- Name an object, below the data path of the lake in memory, that is to be deleted.
INSERT INTO __ducklake_metadata_bin.ducklake_files_scheduled_for_deletion VALUES ($number, $key, true, now());

-- delete_scheduled --
-- Delete the objects that were named; those that do not exist are passed over.
CALL ducklake_cleanup_old_files('bin', cleanup_all => true);
