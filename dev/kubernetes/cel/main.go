// Command cel evaluates expressions as the API server does: the oracle that Gateward's own
// engine is compared with. It reads lines of JSON, {"expression": …, "vars": {…}}, and writes
// one line for each: {"value": …, "type": …} or {"error": …, "at": "compile"|"evaluate"}.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

type question struct {
	Expression string          `json:"expression"`
	Vars       json.RawMessage `json:"vars"`
}

type answer struct {
	Value any    `json:"value"`
	Type  string `json:"type,omitempty"`
	Error string `json:"error,omitempty"`
	At    string `json:"at,omitempty"`
}

func main() {
	base, err := environment.MustBaseEnvSet(version.MajorMinor(1, 37)).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		// Gateward knows base64 too, which the API server leaves out.
		EnvOptions: []cel.EnvOption{
			cel.Variable("object", cel.DynType), cel.Variable("claims", cel.MapType(cel.StringType, cel.AnyType)),
			ext.Encoders(ext.EncodersVersion(0)),
		},
	})
	if err != nil {
		fail(err)
	}
	env, err := base.Env(environment.StoredExpressions)
	if err != nil {
		fail(err)
	}
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var asked question
			if err := json.Unmarshal(line, &asked); err != nil {
				fail(err)
			}
			if err := out.Encode(answered(env, asked)); err != nil {
				fail(err)
			}
		}
		if err != nil {
			return
		}
	}
}

func answered(env *cel.Env, asked question) answer {
	ast, issues := env.Compile(asked.Expression)
	if issues.Err() != nil {
		return answer{Error: issues.Err().Error(), At: "compile"}
	}
	program, err := env.Program(ast, cel.CostLimit(celconfig.PerCallLimit))
	if err != nil {
		return answer{Error: err.Error(), At: "compile"}
	}
	vars := map[string]any{}
	if len(asked.Vars) > 0 {
		// As the API server reads an object: whole numbers are integers.
		if err := utiljson.Unmarshal(asked.Vars, &vars); err != nil {
			fail(err)
		}
	}
	value, _, err := program.Eval(vars)
	if err != nil {
		return answer{Error: err.Error(), At: "evaluate"}
	}
	return answer{Value: plain(value), Type: value.Type().TypeName()}
}

// plain renders a value so that two engines can be compared byte by byte.
func plain(value ref.Val) any {
	switch v := value.(type) {
	case types.Null:
		return nil
	case types.Bool:
		return bool(v)
	case types.Int:
		return fmt.Sprintf("%d", int64(v))
	case types.Uint:
		return fmt.Sprintf("%du", uint64(v))
	case types.Double:
		return fmt.Sprintf("%016x", math.Float64bits(float64(v)))
	case types.String:
		return map[string]string{"string": string(v)}
	case types.Bytes:
		return map[string]string{"bytes": fmt.Sprintf("%x", []byte(v))}
	case types.Duration:
		return map[string]string{"duration": fmt.Sprintf("%d", v.Duration.Nanoseconds())}
	case types.Timestamp:
		return map[string]string{"timestamp": v.Time.UTC().Format(time.RFC3339Nano)}
	case *types.Optional:
		if !v.HasValue() {
			return map[string]any{"optional": []any{}}
		}
		return map[string]any{"optional": []any{plain(v.GetValue())}}
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			list = append(list, plain(it.Next()))
		}
		return list
	case traits.Mapper:
		entries := [][2]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			entries = append(entries, [2]any{plain(key), plain(v.Get(key))})
		}
		sort.Slice(entries, func(i, j int) bool { return text(entries[i][0]) < text(entries[j][0]) })
		return map[string]any{"map": entries}
	case *types.Type:
		return map[string]string{"type": v.TypeName()}
	default:
		return map[string]string{"opaque": v.Type().TypeName()}
	}
}

func text(value any) string {
	bytes, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	return string(bytes)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cel:", err)
	os.Exit(1)
}
