// Package acks decides what an acknowledgement means. A Publisher hands messages to a tenant's stream through a bounded
// window and learns their sequences; a Committer holds the outcomes back until one sync of the file system has covered
// many of them, and only then tells each Receipt. So nothing is acknowledged that a power cut could take.
//
// It knows no wire format and no client: what a message is called and who may send it is decided above.
package acks
