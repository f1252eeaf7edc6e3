//go:build linux

package main

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // G505: the WebSocket handshake is made of it
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// What the broker says of its own, in as many bytes.
const (
	stamps    = `,"tenant_id":"bench-000000000000","agent_id":"pub-0","channel_id":"`
	timestamp = `,"timestamp":"2026-01-01T00:00:00.000Z"`
	guid      = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// handshake answers a request when it is whole, and returns what is behind it.
func (r *relay) handshake(c *conn, b []byte) []byte {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return b
	}
	line, headers, _ := bytes.Cut(b[:end], []byte("\r\n"))
	_, key, _ := bytes.Cut(headers, []byte("Sec-WebSocket-Key: "))
	key, _, _ = bytes.Cut(key, []byte("\r\n"))
	sum := sha1.Sum(append(append([]byte(nil), key...), guid...)) //nolint:gosec // G401: see above
	r.send(c, []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n"))
	if _, name, ok := bytes.Cut(line, []byte("channel_id=")); ok {
		name, _, _ = bytes.Cut(name, []byte("&"))
		name, _, _ = bytes.Cut(name, []byte(" "))
		c.room = r.roomOf(name)
		c.room.conns = append(c.room.conns, c)
	}
	c.open = true
	return b[end+4:]
}

func (r *relay) roomOf(name []byte) *room {
	if found, ok := r.rooms[string(name)]; ok {
		return found
	}
	made := &room{}
	r.rooms[string(name)] = made
	return made
}

// frames carries out the frames in b, and returns what is left of it.
func (r *relay) frames(c *conn, b []byte) []byte {
	for {
		if len(b) < 6 {
			return b
		}
		size, head := int(b[1]&0x7f), 2
		switch size {
		case 126:
			size, head = int(binary.BigEndian.Uint16(b[2:])), 4
		case 127:
			return b // nothing as long is ever sent
		}
		if len(b) < head+4+size {
			return b
		}
		payload := b[head+4 : head+4+size]
		unmask(payload, b[head:head+4])
		if b[0] == 0x81 {
			r.carry(c, payload)
		}
		b = b[head+4+size:]
	}
}

func unmask(b, mask []byte) {
	key := uint64(binary.LittleEndian.Uint32(mask))
	key |= key << 32
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key)
	}
	for i := range b {
		b[i] ^= mask[i%4]
	}
}

// carry relays a message, and acknowledges it.
func (r *relay) carry(c *conn, payload []byte) {
	id, channel, content := member(payload, `"id":"`), member(payload, `"channel_id":"`), member(payload, `"content":"`)
	seq := uint64(0)
	if channel != nil {
		to := r.roomOf(channel)
		to.seq++
		seq = to.seq
		t := append(strconv.AppendUint(append(r.text[:0], `{"seq":`...), seq, 10), `,"id":"`...)
		t = append(append(t, id...), `","type":"message","content":"`...)
		t = append(append(append(t, content...), '"'), stamps...)
		t = append(append(append(append(t, channel...), '"'), timestamp...), '}')
		r.text = t
		for _, other := range to.conns {
			r.frame(other, t)
		}
	}
	t := append(append(r.text[:0], `{"type":"ACK","message_id":"`...), id...)
	t = append(append(append(t, '"'), timestamp...), `,"seq":`...)
	r.text = append(strconv.AppendUint(t, seq, 10), '}')
	r.frame(c, r.text)
}

// member is the text of a member whose name is given with all that stands before the value.
func member(payload []byte, name string) []byte {
	_, rest, ok := bytes.Cut(payload, []byte(name))
	if !ok {
		return nil
	}
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return value
}

func (r *relay) frame(c *conn, payload []byte) {
	var head [4]byte
	if n := len(payload); n < 126 {
		r.send(c, append(head[:0], 0x81, byte(n)))
	} else {
		r.send(c, binary.BigEndian.AppendUint16(append(head[:0], 0x81, 126), uint16(n)))
	}
	r.send(c, payload)
}
