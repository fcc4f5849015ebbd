package layout

import (
	"errors"
	"io"
)

func newObjects(io.Reader, []byte, int) (rowSource, error) { return nil, errors.ErrUnsupported }
