// Podsecurity asks Kubernetes' own code what it thinks of pods, for tests that compare.
//
// It writes one JSON object per line: every pod of the upstream test data of its newest
// version (-testdata), then -count pods made of those by chance (-seed), each with the
// checks of the Pod Security Standards that it violates; then image references (-images)
// with what they name.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type verdict struct {
	Source     string   `json:"source"`
	Pod        any      `json:"pod"`
	Baseline   []string `json:"baseline"`
	Restricted []string `json:"restricted"`
}

type image struct {
	Image      string `json:"image"`
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
}

func main() {
	testdata := flag.String("testdata", "", "the directory test/testdata of k8s.io/pod-security-admission")
	seed := flag.Uint64("seed", 1, "where chance starts")
	count := flag.Int("count", 0, "how many pods to make")
	images := flag.String("images", "", "image references, separated by spaces")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)

	judge := newJudge()
	pods := read(*testdata)
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		v, err := judge.ask(name, pods[name])
		check(err)
		check(lines.Encode(v))
	}
	random := rand.New(rand.NewPCG(*seed, *seed))
	names := slices.Sorted(maps.Keys(pods))
	for made := 0; made < *count; {
		pod := copyOf(pods[names[random.IntN(len(names))]]).(map[string]any)
		for range 1 + random.IntN(8) {
			mutate(random, pod)
		}
		// What the API server cannot decode, no check ever sees.
		if v, err := judge.ask(fmt.Sprintf("made %d", made), pod); err == nil {
			check(lines.Encode(v))
			made++
		}
	}
	for _, name := range strings.Fields(*images) {
		check(lines.Encode(named(name)))
	}
}

// read decodes the pods for the newest policy version, by level and file name.
func read(testdata string) map[string]map[string]any {
	files, err := filepath.Glob(filepath.Join(testdata, "*", "v1.37", "*", "*.yaml"))
	check(err)
	if len(files) < 100 {
		log.Fatalf("only %d files in %s", len(files), testdata)
	}
	pods := map[string]map[string]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		pod := map[string]any{}
		check(yaml.Unmarshal(text, &pod))
		name, err := filepath.Rel(testdata, file)
		check(err)
		pods[name] = pod
	}
	return pods
}

type judge struct {
	evaluator policy.Evaluator
	checks    []policy.Check
	replaced  map[policy.CheckID]bool
}

func newJudge() judge {
	j := judge{checks: policy.DefaultChecks(), replaced: map[policy.CheckID]bool{}}
	var err error
	j.evaluator, err = policy.NewEvaluator(j.checks, nil)
	check(err)
	for _, c := range j.checks {
		for _, id := range newest(c).OverrideCheckIDs {
			j.replaced[id] = true
		}
	}
	return j
}

func newest(c policy.Check) policy.VersionedCheck {
	return c.Versions[len(c.Versions)-1]
}

// ask names the violated checks. The evaluator does not say which ones failed, so each is
// asked by itself, and the evaluator must come to the same verdict.
func (j judge) ask(source string, tree map[string]any) (verdict, error) {
	v := verdict{Source: source, Pod: tree, Baseline: []string{}, Restricted: []string{}}
	text, err := json.Marshal(tree)
	check(err)
	var pod corev1.Pod
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &pod); err != nil {
		return v, err
	}
	for _, c := range j.checks {
		if newest(c).CheckPod(&pod.ObjectMeta, &pod.Spec).Allowed {
			continue
		}
		if c.Level == api.LevelBaseline {
			v.Baseline = append(v.Baseline, string(c.ID))
		}
		if !j.replaced[c.ID] {
			v.Restricted = append(v.Restricted, string(c.ID))
		}
	}
	for level, violated := range map[api.Level][]string{
		api.LevelBaseline:   v.Baseline,
		api.LevelRestricted: v.Restricted,
	} {
		latest := api.LevelVersion{Level: level, Version: api.LatestVersion()}
		results := j.evaluator.EvaluatePod(latest, &pod.ObjectMeta, &pod.Spec)
		whole := policy.AggregateCheckResults(results)
		if len(whole.ForbiddenReasons) != len(violated) {
			log.Fatalf("%s: %s: %v, but %s", source, level, violated, whole.ForbiddenDetail())
		}
	}
	slices.Sort(v.Baseline)
	slices.Sort(v.Restricted)
	return v, nil
}

func named(name string) image {
	found := image{Image: name}
	parsed, err := reference.ParseNormalizedNamed(name)
	check(err)
	parsed = reference.TagNameOnly(parsed)
	found.Registry, found.Repository = reference.Domain(parsed), reference.Path(parsed)
	if tagged, ok := parsed.(reference.Tagged); ok {
		found.Tag = tagged.Tag()
	}
	if digested, ok := parsed.(reference.Digested); ok {
		found.Digest = digested.Digest().String()
	}
	return found
}

func copyOf(value any) any {
	text, err := json.Marshal(value)
	check(err)
	var copied any
	check(json.Unmarshal(text, &copied))
	return copied
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
