package broker

import "golang.org/x/sys/unix"

// groupSync says that Sync makes everything durable in one call, so that the server need not sync every write itself.
const groupSync = true

// syncStore writes everything dirty on the store's file system to the disk. Linux reports write-back errors here since
// 5.8, see syncfs(2).
func syncStore(fd uintptr) error { return unix.Syncfs(int(fd)) }
