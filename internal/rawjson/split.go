package rawjson

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// split is Object for text that is known to be valid JSON, so that it need only look for where each member ends.
func split(dst []Member, text []byte) ([]Member, error) {
	i := skipSpace(text, 0)
	if text[i] != '{' {
		return dst, ErrNotObject
	}
	for i = skipSpace(text, i+1); text[i] != '}'; i = skipSpace(text, i) {
		end := stringEnd(text, i)
		name := nameOf(text[i:end])
		i = skipSpace(text, skipSpace(text, end)+1) // the colon
		end = valueEnd(text, i)
		dst = append(dst, Member{name, jsontext.Value(text[i:end])})
		if i = skipSpace(text, end); text[i] == ',' {
			i++
		}
	}
	return dst, nil
}

func skipSpace(text []byte, i int) int {
	for text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r' {
		i++
	}
	return i
}

// stringEnd returns where the string ends that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(text[i:], '"')
		escapes := 0
		for text[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}

// valueEnd returns where the value ends that begins at i.
func valueEnd(text []byte, i int) int {
	switch text[i] {
	case '"':
		return stringEnd(text, i)
	case '{', '[':
		return compositeEnd(text, i)
	}
	for {
		switch text[i] {
		case ',', '}', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
}

func compositeEnd(text []byte, i int) int {
	for depth := 0; ; i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// nameOf returns the name that is quoted. Those that nearly every message has are constants, for they cost no memory.
func nameOf(quoted []byte) string {
	switch plain := quoted[1 : len(quoted)-1]; string(plain) {
	case "id":
		return "id"
	case "type":
		return "type"
	case "content":
		return "content"
	case "channel_id":
		return "channel_id"
	case "target":
		return "target"
	case "tenant_id":
		return "tenant_id"
	case "agent_id":
		return "agent_id"
	case "timestamp":
		return "timestamp"
	case "run":
		return "run"
	case "attempt":
		return "attempt"
	case "epoch":
		return "epoch"
	case "n":
		return "n"
	case "text":
		return "text"
	default:
		if bytes.IndexByte(plain, '\\') < 0 {
			return string(plain)
		}
	}
	b, _ := jsontext.AppendUnquote(nil, quoted) // it is valid
	return string(b)
}
