package websocket

import "strconv"

// Opcode says what a frame carries (RFC 6455, 5.2). The others are reserved, and refused.
type Opcode byte

// The opcodes. A [Message] never has OpContinuation: its fragments have been put together.
const (
	OpContinuation Opcode = 0
	OpText         Opcode = 1
	OpBinary       Opcode = 2
	OpClose        Opcode = 8
	OpPing         Opcode = 9
	OpPong         Opcode = 10
)

func (op Opcode) control() bool { return op >= OpClose }

// Code is a close code (RFC 6455, 7.4).
type Code uint16

// The close codes that we send, and CodeNoStatus, which stands for a close frame that has none and is never sent.
const (
	CodeNormal      Code = 1000
	CodeGoingAway   Code = 1001
	CodeProtocol    Code = 1002
	CodeUnsupported Code = 1003
	CodeNoStatus    Code = 1005
	CodeInvalid     Code = 1007
	CodePolicy      Code = 1008
	CodeTooBig      Code = 1009
	CodeInternal    Code = 1011
)

// sendable reports whether the code may stand in a close frame: it is defined by RFC 6455 or registered since (1012 to 1014), or
// it is a library's or an application's own.
func (c Code) sendable() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014:
		return true
	default:
		return c >= 3000 && c <= 4999
	}
}

// Error says why a peer's bytes cannot be accepted, with the code to close with.
type Error struct {
	Code   Code
	Reason string // for the peer; shorter than a close frame can carry
}

// Error implements error.
func (e *Error) Error() string {
	return "websocket: " + e.Reason + " (close code " + strconv.Itoa(int(e.Code)) + ")"
}

func protocolError(reason string) *Error { return &Error{Code: CodeProtocol, Reason: reason} }
