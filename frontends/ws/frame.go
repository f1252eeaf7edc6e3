package ws

import "encoding/binary"

// Opcodes of RFC 6455, section 5.2, as the first byte of an unfragmented server frame.
const (
	finText  = 0x80 | 0x1
	finClose = 0x80 | 0x8
	finPing  = 0x80 | 0x9
	finPong  = 0x80 | 0xa

	opMask  = 0x0f
	opClose = 0x8
	opPong  = 0xa

	maskBit = 0x80 // of the second byte
)

// Payload lengths that still fit the 7-bit and the 16-bit form of a frame header, and the markers of the longer forms.
const (
	maxShort  = 125
	maxMedium = 1<<16 - 1
	medium    = 126
	long      = 127
)

// AppendText appends payload as one unfragmented, unmasked text frame to dst and returns the extended slice. The payload
// must be valid UTF-8: browsers end a connection that carries anything else.
func AppendText(dst, payload []byte) []byte {
	return append(appendHeader(dst, finText, len(payload)), payload...)
}

// AppendTextFunc is [AppendText] for a payload that appendPayload appends to what it is given.
func AppendTextFunc(dst []byte, appendPayload func([]byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, finText, 0) // a guess that short payloads make true
	dst = appendPayload(dst)
	n := len(dst) - start - 2
	if n <= maxShort {
		dst[start+1] = byte(n)
		return dst
	}
	more := FrameLen(n) - n - 2
	for range more {
		dst = append(dst, 0)
	}
	copy(dst[start+2+more:], dst[start+2:start+2+n])
	appendHeader(dst[start:start], finText, n)
	return dst
}

// FrameLen returns how many bytes [AppendText] appends for a payload of n bytes.
func FrameLen(n int) int {
	switch {
	case n <= maxShort:
		return 2 + n
	case n <= maxMedium:
		return 4 + n
	default:
		return 10 + n
	}
}

func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n <= maxShort:
		return append(dst, first, byte(n))
	case n <= maxMedium:
		return binary.BigEndian.AppendUint16(append(dst, first, medium), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, long), uint64(n))
	}
}

// frameSize returns the length, header included, of the server frame that begins b.
func frameSize(b []byte) int {
	switch n := int(b[1]); n {
	case medium:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case long:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	default:
		return 2 + n
	}
}
