package layout

import (
	"bytes"
	"io"
)

// oldLines reads text whose lines end in a carriage return alone, as of the first Macintosh and of some loggers, with line feeds instead.
type oldLines struct{ src io.Reader }

func (o *oldLines) Read(p []byte) (int, error) {
	n, err := o.src.Read(p)
	for rest := p[:n]; ; {
		i := bytes.IndexByte(rest, '\r')
		if i < 0 {
			return n, err
		}
		rest[i] = '\n'
		rest = rest[i+1:]
	}
}

// hasOldLines reports whether the beginning of a text has no other ends of lines than carriage returns, with something behind one.
func hasOldLines(head []byte) bool {
	i := bytes.IndexByte(head, '\r')
	return i >= 0 && i < len(head)-1 && bytes.IndexByte(head, '\n') < 0
}
