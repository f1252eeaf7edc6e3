package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/fault"
)

// tryOpen starts nodes at the same time and returns what they say.
func (c *testCluster) tryOpen(which ...int) []error {
	errs := make([]error, len(which))
	var starting sync.WaitGroup
	for j, i := range which {
		starting.Go(func() {
			c.nodes[i], errs[j] = Open(context.Background(), c.cfgs[i], testLog(c.cfgs[i].ServerName))
		})
	}
	starting.Wait()
	return errs
}

func checkFounderRefused(t *testing.T, who string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(fault.Message(err), "another node has founded") || !strings.Contains(fault.Fix(err), "Only one node founds a cluster") {
		t.Errorf("%s: %v, want that another node has founded the cluster", who, err)
	}
}

func TestTwoFoundersRefuseEachOther(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	c.cfgs[1].Cluster.Found = true
	for i, err := range c.tryOpen(0, 1) {
		checkFounderRefused(t, c.cfgs[i].ServerName, err)
	}
}

func TestRunningClusterRefusesAnotherFounder(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.cfgs[2].Cluster.Found = true
	c.start(0, 1)
	checkFounderRefused(t, "the second founder", c.tryOpen(2)[0])
	for _, i := range []int{0, 1} {
		if err := c.nodes[i].Ready(); err != nil {
			t.Errorf("%s: %v", c.cfgs[i].ServerName, err)
		}
		c.awaitNodes(i, 2)
		if id := c.nodes[i].gate.id(); id == "" || id != c.nodes[0].gate.id() {
			t.Errorf("%s is in the cluster %q, the founder in %q", c.cfgs[i].ServerName, id, c.nodes[0].gate.id())
		}
	}
	c.stop(1)
	c.start(1, 3) // a member that comes back, and one that joins
}

// TestNodesProveThemselvesByCertificate has two nodes with certificates of one CA, and one with a certificate of another.
func TestNodesProveThemselvesByCertificate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ours, theirs := newAuthority(t), newAuthority(t)
	for i, a := range []*authority{ours, ours, theirs} {
		to := &c.cfgs[i].Cluster
		to.CertFile, to.KeyFile = a.issue(t, c.cfgs[i].ServerName)
		to.CAFile = a.file
	}
	c.start(0, 1)
	c.cfgs[2].ReadyWithin = 5 * time.Second
	if err := c.tryOpen(2)[0]; fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a node with a foreign certificate: %v, want UNAVAILABLE", err)
	}
	c.awaitNodes(0, 2)
	c.cfgs[2].Cluster.CertFile, c.cfgs[2].Cluster.KeyFile, c.cfgs[2].Cluster.CAFile = "", "", ""
	if err := c.tryOpen(2)[0]; fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a node without a certificate: %v, want UNAVAILABLE", err)
	}
	c.cfgs[2].Cluster.CAFile = ours.file
	if err := c.tryOpen(2)[0]; fault.CodeOf(err) != fault.Usage {
		t.Errorf("half of the settings: %v, want USAGE", err)
	}
}

// authority issues certificates for this machine.
type authority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	a.file = a.sign(t, "ca", a.cert, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue returns the files of a certificate for 127.0.0.1 and its key.
func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key := newKey(t)
	certFile = a.sign(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, a.write(t, name+".key", "PRIVATE KEY", der)
}

func (a *authority) sign(t *testing.T, name string, cert *x509.Certificate, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, name+".pem", "CERTIFICATE", der)
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
