-- What the coordinator last said of a dispute about the job's claim, encoded; null while there was none.
ALTER TABLE jobs ADD COLUMN dispute BLOB;
