package broker

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"parley/internal/fault"
)

// A cluster begins with one node and grows: whoever has messages, or has made the operator's seed, founds it, and who was
// given the seed joins. Nobody decides by counting whom he can see, so that no two halves of a cluster can both begin
// (docs/adr/0006). What the server then finds is a list of peers as it writes one itself: of this node alone, or of so
// many that this node can elect nobody before a leader has told it who they are.

// joining is the size of a cluster that a node believes in that has not heard of its peers.
const joining = 1 << 20

// peersFile is where the server keeps the peers of the group that leads the cluster.
func (e *Engine) peersFile() (string, error) {
	key, err := e.id.accountKey(systemAccount)
	return filepath.Join(e.dir.store(), key, "_js_", "_meta_", "peers.idx"), err
}

// adoptingFile says that streams from the time before the cluster are not all part of it yet.
func (e *Engine) adoptingFile() string { return filepath.Join(e.dir.path, "adopting") }

// enterCluster prepares the data directory for its first start in a cluster.
func (e *Engine) enterCluster() error {
	name, err := e.peersFile()
	if err != nil {
		return err
	}
	adopting, err := exists(e.adoptingFile())
	if err != nil {
		return unusable(e.dir.path, err)
	}
	if member, err := exists(name); err != nil || member && !adopting {
		return err
	}
	streams, err := e.storedStreams()
	if err != nil {
		return unusable(e.dir.path, err)
	}
	size := uint32(joining)
	e.gate.new = true
	if len(streams) > 0 || e.cfg.SeedFile == "" || e.cfg.Cluster.Found {
		size = 1
		if err := e.gate.found(); err != nil {
			return err
		}
	}
	if len(streams) > 0 && !adopting {
		if err := writeSecret(e.adoptingFile(), nil); err != nil {
			return unusable(e.dir.path, err)
		}
	}
	if err := writePeers(name, size, peerID(e.cfg.ServerName)); err != nil {
		return unusable(e.dir.path, err)
	}
	if size == 1 {
		e.log.Info("this node founds the cluster", "cluster", e.cfg.Cluster.Name, "streams", len(streams))
	}
	return nil
}

// refuseAlone refuses to run alone what is a part of a cluster: the server would not find the others' share.
func (e *Engine) refuseAlone() error {
	name, err := e.peersFile()
	if err != nil {
		return err
	}
	if member, err := exists(name); err != nil || !member {
		return err
	}
	return fault.New(fault.Usage, "The data directory %s belongs to a node of a cluster.", e.dir.path).
		WithFix("Start it with --cluster-name and --routes as before.")
}

// storedStreams returns the directories of all streams in the store.
func (e *Engine) storedStreams() ([]string, error) {
	return filepath.Glob(filepath.Join(e.dir.store(), "*", "streams", "*"))
}

func exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writePeers writes a list of peers of which one is known, in the server's format.
func writePeers(name string, size uint32, peer string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint32(nil, size)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = append(b, peer...)
	b = binary.LittleEndian.AppendUint16(b, 0)
	return writeSecret(name, b)
}

// peerID is how the server names a node in a list of peers.
func peerID(server string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(server))
	var b strings.Builder
	for _, c := range sum[:8] {
		b.WriteByte(digits[int(c)%len(digits)])
	}
	return b.String()
}
