package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// answerTime is how long writing a response of a few hundred bytes to a connection that has just come may take.
const answerTime = 10 * time.Second

// Upgrade is an answered handshake.
type Upgrade struct {
	Conn     net.Conn // now the caller's
	Early    []byte   // what the peer sent behind its handshake, copied
	Deflate  bool     // permessage-deflate was agreed on, without context takeover on either side
	Protocol string   // the subprotocol that was agreed on, or ""
}

// UpgradeOptions say what a server agrees to.
type UpgradeOptions struct {
	Deflate   bool     // permessage-deflate, when it is offered
	Protocols []string // subprotocols, by preference
}

// refusal is a handshake that is answered with an error of HTTP.
type refusal struct {
	status int
	reason string
}

func (e *refusal) Error() string { return "websocket handshake: " + e.reason }

// Accept answers a handshake (RFC 6455, 4.2). A bad one is answered with the status that it asks for (400, 405, 426), and the error
// says what was wrong. Whether the Host and the Origin are welcome is the caller's to ask before.
//
// The response has the headers of the handshake and no others, whatever is set on w. After it the connection has no deadlines.
func Accept(w http.ResponseWriter, r *http.Request, o UpgradeOptions) (*Upgrade, error) {
	key, offers, err := checkRequest(r)
	if err != nil {
		refuse(w, err)
		return nil, err
	}
	u := new(Upgrade)
	response := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	response = append(response, acceptKey(key)...)
	response = append(response, "\r\n"...)
	if u.Protocol = chooseProtocol(r.Header, o.Protocols); u.Protocol != "" {
		response = append(response, "Sec-WebSocket-Protocol: "+u.Protocol+"\r\n"...)
	}
	if o.Deflate {
		if answer := chooseDeflate(offers); answer != "" {
			u.Deflate = true
			response = append(response, "Sec-WebSocket-Extensions: "+answer+"\r\n"...)
		}
	}
	response = append(response, "\r\n"...)

	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		err = fmt.Errorf("take over connection: %w", err)
		refuse(w, err)
		return nil, err
	}
	if u.Early, err = answer(conn, rw.Reader, response); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	u.Conn = conn
	return u, nil
}

// peeker is a bufio.Reader.
type peeker interface {
	Buffered() int
	Peek(n int) ([]byte, error)
}

// answer writes the response, and returns what the server had read behind the request.
func answer(conn net.Conn, r peeker, response []byte) (early []byte, err error) {
	// Away with the deadlines of the HTTP server, which are for requests.
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	if n := r.Buffered(); n > 0 {
		b, err := r.Peek(n)
		if err != nil {
			return nil, fmt.Errorf("read behind handshake: %w", err)
		}
		early = slices.Clone(b)
	}
	if _, err := conn.Write(response); err != nil {
		return nil, fmt.Errorf("answer handshake: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("clear deadline: %w", err)
	}
	return early, nil
}

// checkRequest returns the key and the extensions that a handshake offers, or what is wrong with it.
func checkRequest(r *http.Request) (key string, offers []extension, err error) {
	bad := func(reason string) error { return &refusal{http.StatusBadRequest, reason} }
	switch {
	case r.Method != http.MethodGet:
		return "", nil, &refusal{http.StatusMethodNotAllowed, "method is not GET"}
	case !r.ProtoAtLeast(1, 1):
		return "", nil, &refusal{http.StatusUpgradeRequired, "older than HTTP/1.1"}
	case !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		return "", nil, &refusal{http.StatusUpgradeRequired, "this is a WebSocket, and the request does not ask for an upgrade"}
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		// Its bytes would be taken for frames.
		return "", nil, bad("request has a body")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return "", nil, &refusal{http.StatusUpgradeRequired, "Sec-WebSocket-Version is not 13"}
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return "", nil, bad("there has to be one Sec-WebSocket-Key")
	}
	if b, err := base64.StdEncoding.Strict().DecodeString(keys[0]); err != nil || len(b) != 16 {
		return "", nil, bad("Sec-WebSocket-Key is not 16 bytes in base64")
	}
	offers, err = parseExtensions(r.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return "", nil, bad(err.Error())
	}
	return keys[0], offers, nil
}

// refuse answers a handshake that failed.
func refuse(w http.ResponseWriter, err error) {
	bad := &refusal{http.StatusInternalServerError, "this server cannot take over the connection"}
	errors.As(err, &bad)
	switch bad.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodGet)
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Version", "13")
	}
	http.Error(w, bad.reason, bad.status)
}

// chooseProtocol returns the first of ours that the client offers.
func chooseProtocol(h http.Header, ours []string) string {
	for _, p := range ours {
		for t := range listed(h, "Sec-WebSocket-Protocol") {
			if t == p {
				return p
			}
		}
	}
	return ""
}

// acceptKey shows that the key was read (RFC 6455, 4.2.2). It protects nothing, and SHA-1 is what the protocol says.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
