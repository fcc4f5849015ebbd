package columnar

import (
	"fmt"

	codec "github.com/parquet-go/parquet-go/encoding/thrift"

	"tapedeck/internal/thrift"
)

// maxItems is how many items all lists of one piece of metadata may have together: a footer of 5,000 row groups has as many. A list
// says its length before its items, and who decodes it makes room for all of them.
const maxItems = 1 << 19

// unmarshal decodes thrift's compact protocol after it has looked that all lengths in it are true. It returns how many bytes the value took. What
// the decoder panics of all the same is the file's fault too.
func unmarshal(b []byte, v any) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, fmt.Errorf("metadata: %w: %v", ErrCorrupt, r)
		}
	}()
	n, ok := thrift.Length(b, maxItems)
	if !ok {
		return 0, fmt.Errorf("metadata: %w", ErrCorrupt)
	}
	if err := codec.Unmarshal(new(codec.CompactProtocol), b[:n], v); err != nil {
		return 0, fmt.Errorf("metadata: %w: %w", ErrCorrupt, err)
	}
	return n, nil
}
