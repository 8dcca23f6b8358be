// Command requestinfo says what the API server makes of a request line: the oracle that
// Gateward's own parse is compared with. It reads lines of JSON, {"method": …, "target": …},
// and writes one line for each: the RequestInfo, or {"error": …}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"
)

type question struct {
	Method string `json:"method"`
	Target string `json:"target"`
}

type answer struct {
	IsResource    bool   `json:"isResource"`
	Verb          string `json:"verb"`
	APIGroup      string `json:"apiGroup"`
	APIVersion    string `json:"apiVersion"`
	Resource      string `json:"resource"`
	Subresource   string `json:"subresource"`
	Namespace     string `json:"namespace"`
	Name          string `json:"name"`
	Path          []byte `json:"path"` // decoded, so any bytes
	FieldSelector string `json:"fieldSelector"`
	LabelSelector string `json:"labelSelector"`
	Error         string `json:"error"`
}

// As the API server sets it up (server.NewRequestInfoResolver).
var factory = request.RequestInfoFactory{
	APIPrefixes:          sets.NewString("api", "apis"),
	GrouplessAPIPrefixes: sets.NewString("api"),
}

func main() {
	// It logs every query that does not decode.
	klog.SetLogger(logr.Discard())
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)
	for {
		var asked question
		if err := in.Decode(&asked); err == io.EOF {
			return
		} else if err != nil {
			panic(err)
		}
		if err := lines.Encode(judge(asked)); err != nil {
			panic(err)
		}
	}
}

// judge reads the bytes as Go's HTTP server does. HTTP/2 reads a target with the same
// url.ParseRequestURI.
func judge(asked question) answer {
	raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n\r\n", asked.Method, asked.Target)
	read, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return answer{Error: err.Error()}
	}
	info, err := factory.NewRequestInfo(read)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{
		IsResource:    info.IsResourceRequest,
		Verb:          info.Verb,
		APIGroup:      info.APIGroup,
		APIVersion:    info.APIVersion,
		Resource:      info.Resource,
		Subresource:   info.Subresource,
		Namespace:     info.Namespace,
		Name:          info.Name,
		Path:          []byte(info.Path),
		FieldSelector: info.FieldSelector,
		LabelSelector: info.LabelSelector,
	}
}
