// Command protobuf tells Gateward how Kubernetes writes its built-in kinds as protobuf, and
// judges what Gateward makes of them.
//
//	protobuf table               the shape of every message, from the tags of the Go types
//	protobuf generate SEED COUNT random objects, a line of JSON each: {"kind", "protobuf"}
//	protobuf compare             reads lines {"protobuf", "json"} and writes for each "same"
//	                             or how the object that the API server would make of the
//	                             one differs from that of the other
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/randfill"
)

type line struct {
	Kind     string `json:"kind,omitempty"`
	Protobuf []byte `json:"protobuf"`
	JSON     string `json:"json,omitempty"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	switch mode := os.Args[1]; mode {
	case "table":
		table(out)
	case "generate":
		seed, _ := strconv.ParseInt(os.Args[2], 10, 64)
		count, _ := strconv.Atoi(os.Args[3])
		generate(out, seed, count)
	case "compare":
		compare(out)
	default:
		panic("unknown mode " + mode)
	}
}

// ---- the table ----

// The types whose JSON is not what their fields say.
var special = map[reflect.Type]string{
	reflect.TypeOf(metav1.Time{}):          "time",
	reflect.TypeOf(metav1.MicroTime{}):     "microtime",
	reflect.TypeOf(metav1.Duration{}):      "duration",
	reflect.TypeOf(metav1.FieldsV1{}):      "fields",
	reflect.TypeOf(resource.Quantity{}):    "quantity",
	reflect.TypeOf(intstr.IntOrString{}):   "intorstring",
	reflect.TypeOf(runtime.RawExtension{}): "raw",
}

type tables struct {
	Kinds    map[string]int `json:"kinds"`
	Messages [][][3]any     `json:"messages"`
	known    map[reflect.Type]int
}

func kinds() []schema.GroupVersionKind {
	var all []schema.GroupVersionKind
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal || gvk.Kind == "WatchEvent" {
			continue
		}
		all = append(all, gvk)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].String() < all[j].String() })
	return all
}

func table(out *bufio.Writer) {
	t := &tables{Kinds: map[string]int{}, known: map[reflect.Type]int{}}
	for _, gvk := range kinds() {
		if isInstance(gvk) {
			kind := scheme.Scheme.AllKnownTypes()[gvk]
			t.Kinds[gvk.GroupVersion().String()+"/"+gvk.Kind] = t.message(kind)
		}
	}
	// A message a line, so that changes can be read.
	fmt.Fprintln(out, `{"kinds":{`)
	names := make([]string, 0, len(t.Kinds))
	for name := range t.Kinds {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		fmt.Fprintf(out, "%q:%d%s\n", name, t.Kinds[name], comma(i, len(names)))
	}
	fmt.Fprintln(out, `},"messages":[`)
	for i, message := range t.Messages {
		text, err := json.Marshal(message)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(out, "%s%s\n", text, comma(i, len(t.Messages)))
	}
	fmt.Fprintln(out, `]}`)
}

func comma(i, n int) string {
	if i+1 < n {
		return ","
	}
	return ""
}

// isInstance says whether objects of the kind can be written as protobuf.
func isInstance(gvk schema.GroupVersionKind) bool {
	object, err := scheme.Scheme.New(gvk)
	if err != nil {
		return false
	}
	_, ok := object.(interface{ Marshal() ([]byte, error) })
	return ok
}

// message returns the number of a struct's message: rows of field number, JSON name, type.
func (t *tables) message(of reflect.Type) int {
	if at, ok := t.known[of]; ok {
		return at
	}
	at := len(t.Messages)
	t.known[of] = at
	t.Messages = append(t.Messages, nil)
	rows := [][3]any{}
	for i := 0; i < of.NumField(); i++ {
		field := of.Field(i)
		tag := strings.Split(field.Tag.Get("protobuf"), ",")
		if len(tag) < 3 {
			continue
		}
		number, err := strconv.Atoi(tag[1])
		if err != nil {
			panic(err)
		}
		name := strings.Split(field.Tag.Get("json"), ",")[0]
		kind := t.kind(field.Type, tag[2] == "rep", tag[0])
		rows = append(rows, [3]any{number, name, kind})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i][0].(int) < rows[j][0].(int) })
	t.Messages[at] = rows
	return at
}

func (t *tables) kind(of reflect.Type, repeated bool, wire string) string {
	if of.Kind() == reflect.Pointer {
		return t.kind(of.Elem(), repeated, wire)
	}
	if name, ok := special[of]; ok {
		return name
	}
	switch of.Kind() {
	case reflect.Map:
		if of.Key().Kind() != reflect.String {
			panic("a map by " + of.Key().String())
		}
		return "{}" + t.kind(of.Elem(), false, "")
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Uint8 {
			if repeated {
				panic("repeated bytes")
			}
			return "bytes"
		}
		// Some tags of plain slices say opt where the wire says rep.
		if repeated || of.Name() == "" {
			return "[]" + t.kind(of.Elem(), false, wire)
		}
		// A message that holds nothing but a list, in JSON the list itself.
		return "()" + t.kind(of.Elem(), false, wire)
	case reflect.Struct:
		return "#" + strconv.Itoa(t.message(of))
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64:
		return of.Kind().String()
	case reflect.Float64:
		return "double"
	}
	panic("a field of type " + of.String())
}

// ---- objects ----

func pb() runtime.Serializer { return protobuf.NewSerializer(scheme.Scheme, scheme.Scheme) }

func js() runtime.Serializer {
	return jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, jsonserializer.SerializerOptions{Strict: true})
}

func generate(out *bufio.Writer, seed int64, count int) {
	source := rand.NewSource(seed)
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, ours), source, serializer.NewCodecFactory(scheme.Scheme))
	all := kinds()
	random := rand.New(source)
	for n := 0; n < count; {
		gvk := all[random.Intn(len(all))]
		if !isInstance(gvk) {
			continue
		}
		object, _ := scheme.Scheme.New(gvk)
		fill.Fill(object)
		object.GetObjectKind().SetGroupVersionKind(gvk)
		var written bytes.Buffer
		if err := pb().Encode(object, &written); err != nil {
			panic(fmt.Sprintf("%s: %v", gvk, err))
		}
		text, _ := json.Marshal(line{Kind: gvk.String(), Protobuf: written.Bytes()})
		out.Write(append(text, '\n'))
		n++
	}
}

func ours(serializer.CodecFactory) []interface{} {
	return []interface{}{
		func(raw *runtime.RawExtension, c randfill.Continue) {
			raw.Raw = []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"inner"}}`)
		},
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewMilliQuantity(int64(c.Intn(1000000)), resource.DecimalSI)
			_ = q.String()
		},
	}
}

func compare(out *bufio.Writer) {
	in := bufio.NewReader(os.Stdin)
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var one line
		if err := decoder.Decode(&one); err != nil {
			panic(err)
		}
		fmt.Fprintln(out, strings.ReplaceAll(difference(one), "\n", " "))
	}
}

func difference(one line) string {
	a, _, err := pb().Decode(one.Protobuf, nil, nil)
	if err != nil {
		return "the protobuf is not read: " + err.Error()
	}
	b, _, err := js().Decode([]byte(one.JSON), nil, nil)
	if err != nil {
		return "the JSON is not read: " + err.Error()
	}
	a.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	b.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	if equality.Semantic.DeepEqual(a, b) {
		return "same"
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if bytes.Equal(x, y) {
		return "same"
	}
	at := 0
	for at < len(x) && at < len(y) && x[at] == y[at] {
		at++
	}
	from := max(0, at-60)
	return fmt.Sprintf("at %d: protobuf …%s, JSON …%s", at, x[from:min(len(x), at+60)], y[from:min(len(y), at+60)])
}
