package layout

import (
	"errors"
	"io"
)

func (r *Reader) openParquet(io.Reader) error {
	return errors.New("the file is a Parquet file, which is not read yet")
}
