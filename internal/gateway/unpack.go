package gateway

import "errors"

// unpackValue reads one MessagePack value.
func unpackValue([]byte) (any, error) { return nil, errors.New("MessagePack is not read yet") }
