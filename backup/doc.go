// Package backup copies tenants out of a broker and back into one, while both serve: their records with the keys, their
// streams and buckets message by message, and how far their consumers are. A backup is one tar archive that other tools can
// read; docs/backup.md describes it. The package keeps no state of its own: all functions may be called concurrently.
package backup
