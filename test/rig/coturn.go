package rig

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/clustertest"
)

// Coturn is a TURN server on this machine.
type Coturn struct {
	t    testing.TB
	addr *net.UDPAddr
}

// StartCoturn starts a TURN server with a configuration, whose lines about where it listens count less than the free port
// that it gets. It ends with the test.
func StartCoturn(t testing.TB, configuration string) *Coturn {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp4", clustertest.FreeAddrs(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	c := &Coturn{t: t, addr: addr}
	dir := t.TempDir()
	port := fmt.Sprint(c.addr.Port)
	cmd := exec.Command("turnserver",
		"-c", WriteFile(t, "turnserver.conf", []byte(configuration)), "--pidfile", filepath.Join(dir, "pid"), "--userdb", filepath.Join(dir, "db"),
		"--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", port, "--tls-listening-port", port,
		"--no-tls", "--no-dtls", "--simple-log", "--log-file", "stdout")
	program := StartProgram(t, cmd)
	for deadline := time.Now().Add(Patience); !c.answers(); {
		if time.Now().After(deadline) || !program.process.running() {
			t.Fatalf("turnserver does not answer:\n%s", program.Log())
		}
	}
	return c
}

// answers reports whether the server answers a STUN binding request soon.
func (c *Coturn) answers() bool {
	conn, err := net.DialUDP("udp4", nil, c.addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	request := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "any twelve.."...)
	_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := conn.Write(request); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1500))
	return err == nil
}

// URL is the server's address as clients get it.
func (c *Coturn) URL() string { return fmt.Sprintf("turn:%s?transport=udp", c.addr) }

// Use asks for an address with which to reach a peer, as a client with these credentials, and returns what its program
// says: "Cannot complete Allocation" when the credentials are no good, "Forbidden IP" when the peer may not be reached.
func (c *Coturn) Use(username, credential, peer string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "turnutils_uclient", "-c", "-n", "1", "-m", "1", "-p", fmt.Sprint(c.addr.Port),
		"-u", username, "-w", credential, "-e", peer, "-r", "9", "127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "reached " + peer
	}
	return strings.TrimSpace(string(out) + "\n" + err.Error())
}
