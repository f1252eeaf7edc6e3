package openapi

import "encoding/json"

// ParseProse reads API.Prose from the file that package prose has written. It panics on any other, which a test finds.
func ParseProse(text []byte) (said map[string]string) {
	if err := json.Unmarshal(text, &said); err != nil {
		panic("openapi: the prose is damaged: " + err.Error())
	}
	return said
}
