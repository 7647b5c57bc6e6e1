package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const tolerance = 5 * time.Minute

// isSigned says whether a webhook comes from somebody who knows the key (Standard Webhooks 1.0).
// It takes the raw bytes of the body, before any JSON is parsed.
func isSigned(key []byte, header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return false
	}
	age := time.Since(time.Unix(seconds, 0))
	if age > tolerance || age < -tolerance {
		return false
	}

	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// There are several while the secret is being replaced; other versions match nothing.
	for _, given := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal(expected, []byte(given)) {
			return true
		}
	}
	return false
}

// signingKey reads a secret as it is configured.
func signingKey(secret string) ([]byte, error) {
	if encoded := strings.TrimPrefix(secret, "whsec_"); encoded != secret {
		return base64.StdEncoding.DecodeString(encoded)
	}
	return []byte(secret), nil
}
