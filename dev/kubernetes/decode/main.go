// Command decode tells how much CPU time it takes to decode lists of built-in kinds, each given
// as a file in JSON or protobuf, with the codecs of client-go.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
)

const rounds = 10

func main() {
	for _, file := range os.Args[1:] {
		body, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, "decode:", err)
			os.Exit(1)
		}
		began := used()
		for range rounds {
			if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil); err != nil {
				fmt.Fprintln(os.Stderr, "decode:", err)
				os.Exit(1)
			}
		}
		each := (used() - began).Seconds() * 1e3 / rounds
		fmt.Printf("%s: %.1f ms of CPU in a Go client\n", filepath.Base(file), each)
	}
}

// used is the CPU time of this process, its garbage collection included.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
