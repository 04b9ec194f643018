"""The feed: one row for each thing a saver sees happen. Writes the row it is handed; decides and moves nothing."""
