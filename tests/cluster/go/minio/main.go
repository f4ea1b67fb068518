// MinIO, an S3 server; its own main cannot be named by another module's go.sum.
package main

import (
	"os"

	minio "github.com/minio/minio/cmd"
)

func main() {
	minio.Main(os.Args)
}
