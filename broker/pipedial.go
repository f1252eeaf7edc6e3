package broker

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// redialEvery is how long a link waits before it tries to connect again.
	redialEvery = 100 * time.Millisecond
	// linkWithin bounds how long a connection may take to be made.
	linkWithin = 5 * time.Second
	// linkLang tells the server's lists of connections that this one is a link.
	linkLang = "link"
)

// redial connects again, with all subscriptions. It returns nil when the pipe is closed.
func (p *pipe) redial() *bufio.Reader {
	for {
		select {
		case <-p.ending:
			return nil
		case <-time.After(redialEvery):
		}
		conn, in, err := p.dial()
		if err != nil {
			continue // the account may be suspended; its Conn closes the pipe then
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_ = conn.Close()
			return nil
		}
		p.conn = conn
		p.subsMu.RLock()
		for _, s := range p.subs {
			p.out = appendSubscribe(p.out, s)
		}
		p.subsMu.RUnlock()
		for range p.pongs { // those who wait want to know what the server has seen, and it has forgotten
			p.out = append(p.out, "PING\r\n"...)
		}
		p.nudge()
		p.mu.Unlock()
		return in
	}
}

// dial makes a connection as a user of the account that is made for it only, and returns it with what was read ahead.
func (p *pipe) dial() (_ net.Conn, _ *bufio.Reader, err error) {
	conn, err := p.engine.server.InProcessConn()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	defer time.AfterFunc(linkWithin, func() { _ = conn.Close() }).Stop()
	in := bufio.NewReaderSize(conn, 4<<10)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, nil, err
	}
	connect, err := p.introduce(line)
	if err != nil {
		return nil, nil, err
	}
	if _, err := conn.Write(append(connect, "\r\nPING\r\n"...)); err != nil {
		return nil, nil, err
	}
	answer, err := in.ReadBytes('\n')
	if err != nil {
		return nil, nil, err
	}
	if !bytes.HasPrefix(answer, []byte("PONG")) {
		return nil, nil, fmt.Errorf("the server says %s", bytes.TrimSpace(answer))
	}
	return conn, in, nil
}

// introduce answers the server's first line.
func (p *pipe) introduce(line []byte) ([]byte, error) {
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok {
		return nil, errors.New("the server does not introduce itself")
	}
	var info struct {
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("read the server's introduction: %w", err)
	}
	user, token, err := p.engine.newUser(p.account)
	if err != nil {
		return nil, err
	}
	signature, err := user.Sign([]byte(info.Nonce))
	if err != nil {
		return nil, fmt.Errorf("sign the server's challenge: %w", err)
	}
	connect, err := json.Marshal(map[string]any{
		"name": gatewayName, "lang": linkLang, "verbose": false, "protocol": 1, "headers": true, "no_responders": true,
		"jwt": token, "sig": base64.RawURLEncoding.EncodeToString(signature),
	})
	return append([]byte("CONNECT "), connect...), err
}
