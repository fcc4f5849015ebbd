package websocket

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// maxResponse bounds what a server may say before its first frame.
const maxResponse = 64 << 10

// Handshake opens a WebSocket as a client, over a connection that is there already (RFC 6455, 4.1): it writes the request for path
// on host and checks the answer. header is sent along, but for the names that the handshake itself uses; Sec-WebSocket-Protocol in
// it offers subprotocols. With deflate, permessage-deflate is offered.
//
// It takes as long as the deadlines of conn allow, and leaves them. When it fails, closing conn is the caller's.
func Handshake(conn net.Conn, host, path string, header http.Header, deflate bool) (*Upgrade, error) {
	request, key, err := appendRequest(nil, host, path, header, deflate)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return nil, fmt.Errorf("write handshake: %w", err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxResponse))
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("read answer to handshake: %w", err)
	}
	if err := response.Body.Close(); err != nil {
		return nil, fmt.Errorf("read answer to handshake: %w", err)
	}
	u := &Upgrade{Conn: conn}
	if err := u.check(response, key, header, deflate); err != nil {
		return nil, fmt.Errorf("check answer to handshake: %w", err)
	}
	u.Early, err = r.Peek(r.Buffered())
	if err != nil {
		return nil, fmt.Errorf("read behind handshake: %w", err)
	}
	u.Early = slices.Clone(u.Early)
	return u, nil
}

// appendRequest appends a handshake to dst, and returns its key.
func appendRequest(dst []byte, host, path string, header http.Header, deflate bool) (request []byte, key string, err error) {
	if !plain(host) || !plain(path) || !strings.HasPrefix(path, "/") {
		return nil, "", fmt.Errorf("handshake with host %q and path %q: not fit for a request", host, path)
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	key = base64.StdEncoding.EncodeToString(nonce[:])
	b := bytes.NewBuffer(dst)
	b.WriteString("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n")
	if deflate {
		b.WriteString("Sec-WebSocket-Extensions: " + deflateName + "; server_no_context_takeover; client_no_context_takeover\r\n")
	}
	ours := map[string]bool{
		"Host": true, "Upgrade": true, "Connection": true, "Content-Length": true, "Transfer-Encoding": true,
		"Sec-Websocket-Version": true, "Sec-Websocket-Key": true, "Sec-Websocket-Extensions": true,
	}
	if err := header.WriteSubset(b, ours); err != nil {
		return nil, "", fmt.Errorf("handshake headers: %w", err)
	}
	b.WriteString("\r\n")
	return b.Bytes(), key, nil
}

// plain reports whether s has neither spaces nor control characters, which would end a request's line.
func plain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// check judges a server's answer, and sets what was agreed on.
func (u *Upgrade) check(response *http.Response, key string, header http.Header, deflate bool) error {
	h := response.Header
	switch {
	case response.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("status %s", response.Status)
	case !hasToken(h, "Connection", "upgrade") || !hasToken(h, "Upgrade", "websocket"):
		return errors.New("not an upgrade to WebSocket")
	case h.Get("Sec-WebSocket-Accept") != acceptKey(key):
		return errors.New("wrong Sec-WebSocket-Accept")
	}
	if u.Protocol = h.Get("Sec-WebSocket-Protocol"); u.Protocol != "" {
		if chooseProtocol(header, []string{u.Protocol}) == "" {
			return fmt.Errorf("subprotocol %q was not offered", u.Protocol)
		}
	}
	answers, err := parseExtensions(h["Sec-Websocket-Extensions"])
	switch {
	case err != nil:
		return err
	case len(answers) == 0:
		return nil
	case len(answers) > 1 || answers[0].name != deflateName || !deflate:
		return errors.New("extension was not offered")
	}
	t, ok := deflateParams(answers[0].params, false)
	if !ok || !t.serverFresh || t.clientBits != 0 {
		return errors.New("terms of permessage-deflate were not offered")
	}
	u.Deflate = true
	return nil
}
