package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
)

// A place in a pod and what may stand there: JSON, with nothing for an absent field.
type choice struct {
	path   string
	values string
}

const (
	profiles = ` ;null;{};{"type":"RuntimeDefault"};{"type":"Localhost","localhostProfile":"x"};{"type":"Unconfined"};{"type":""};{"type":null};{"type":"runtimeDefault"}`
	truths   = ` ;null;true;false`
	users    = ` ;null;0;-0;1;1000`
	selinux  = ` ;null;{};{"type":"container_t"};{"type":"container_engine_t"};{"type":"spc_t"};{"user":"u"};{"role":"r"};{"level":"s0"};{"type":"","user":"","role":""};{"type":null,"user":null}`
	windows  = ` ;null;{};{"hostProcess":true};{"hostProcess":false};{"hostProcess":null}`
	actions  = ` ;null;{};{"httpGet":{"port":1}};{"httpGet":{"port":1,"host":""}};{"httpGet":{"port":1,"host":"h"}};{"tcpSocket":{"port":1,"host":"127.0.0.1"}};{"tcpSocket":null};{"httpGet":{"port":1,"host":null}};{"exec":{"command":["x"]}}`
)

var ofPod = []choice{
	{"metadata.annotations", ` ;null;{};{"container.apparmor.security.beta.kubernetes.io/container1":"unconfined"};{"container.apparmor.security.beta.kubernetes.io/":"localhost/x"};{"container.apparmor.security.beta.kubernetes.io/a":"runtime/default","container.apparmor.security.beta.kubernetes.io/b":""};{"container.apparmor.security.beta.kubernetes.io/a":"Localhost/x"};{"container.apparmor.security.beta.kubernetes.io/a":null};{"seccomp.security.alpha.kubernetes.io/pod":"unconfined"};{"Container.apparmor.security.beta.kubernetes.io/a":"unconfined"}`},
	{"spec.hostNetwork", truths},
	{"spec.hostPID", truths},
	{"spec.hostIPC", truths},
	{"spec.hostUsers", truths},
	{"spec.HostPID", truths},
	{"spec.os", ` ;null;{};{"name":"linux"};{"name":"windows"};{"name":"Windows"};{"name":null}`},
	{"spec.volumes", ` ;null;[];[null];[{"name":"v"}];[{"name":"v","hostPath":{"path":"/"}}];[{"name":"v","hostPath":{}}];[{"name":"v","hostPath":null}];[{"name":"v","emptyDir":{}},{"name":"w","nfs":{"server":"s","path":"/"}}];[{"name":"v","emptyDir":null}];[{"name":"v","hostPath":{"path":"/"},"emptyDir":{}}];[{"name":"v","image":{"reference":"r"}},{"name":"w","csi":{"driver":"d"}}];[{"name":"v","unheardOf":{}}];[{"name":"v","downwardAPI":{}},{"name":"w","ephemeral":{}},{"name":"x","persistentVolumeClaim":{"claimName":"c"}}];[{"name":"v","gitRepo":{"repository":"r"}}];[{"name":"v","configMap":{}},{"name":"w","secret":{}},{"name":"x","projected":{}}]`},
	{"spec.securityContext", ` ;null;{}`},
	{"spec.securityContext.runAsNonRoot", truths},
	{"spec.securityContext.runAsUser", users},
	{"spec.securityContext.seccompProfile", profiles},
	{"spec.securityContext.appArmorProfile", profiles},
	{"spec.securityContext.seLinuxOptions", selinux},
	{"spec.securityContext.windowsOptions", windows},
	{"spec.securityContext.sysctls", ` ;null;[];[null];[{"name":"kernel.shm_rmid_forced","value":"1"}];[{"name":"net.ipv4.tcp_rmem","value":"1"},{"name":"net.ipv4.tcp_notsent_lowat","value":"1"}];[{"name":"kernel.msgmax","value":"1"}];[{"name":"net/ipv4/tcp_rmem","value":"1"}];[{"name":"","value":""}];[{"name":"net.ipv4.tcp_slow_start_after_idle"}]`},
	{"spec.initContainers", ` ;null;[];[null];[{"name":"i"}]`},
	{"spec.ephemeralContainers", ` ;null;[];[null];[{"name":"e"}];[{"name":"e","securityContext":{"privileged":true}}];[{"name":"e","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}}]`},
	{"spec.containers", `[];[null];[{"name":"a"},{"name":"b"}];null`},
}

var ofContainer = []choice{
	{"securityContext", ` ;null;{}`},
	{"securityContext.privileged", truths},
	{"securityContext.Privileged", truths},
	{"securityContext.allowPrivilegeEscalation", truths},
	{"securityContext.runAsNonRoot", truths},
	{"securityContext.runAsUser", users},
	{"securityContext.procMount", ` ;null;"Default";"Unmasked";"";"default"`},
	{"securityContext.seccompProfile", profiles},
	{"securityContext.appArmorProfile", profiles},
	{"securityContext.seLinuxOptions", selinux},
	{"securityContext.windowsOptions", windows},
	{"securityContext.capabilities", ` ;null;{}`},
	{"securityContext.capabilities.add", ` ;null;[];["NET_BIND_SERVICE"];["CHOWN"];["NET_RAW"];["ALL"];["CAP_CHOWN"];["chown"];[""];[null];["KILL","SYS_ADMIN"]`},
	{"securityContext.capabilities.drop", ` ;null;[];["ALL"];["all"];["CAP_ALL"];["NET_RAW","ALL"];["CHOWN"]`},
	{"ports", ` ;null;[];[null];[{"containerPort":1}];[{"containerPort":1,"hostPort":0}];[{"containerPort":1,"hostPort":1}];[{"containerPort":1,"hostPort":null}];[{"containerPort":1,"hostPort":-0}];[{"containerPort":1},{"containerPort":2,"hostPort":80}]`},
	{"livenessProbe", actions},
	{"readinessProbe", actions},
	{"startupProbe", actions},
	{"lifecycle", ` ;null;{}`},
	{"lifecycle.postStart", actions},
	{"lifecycle.preStop", actions},
}

// mutate changes one thing in a pod.
func mutate(random *rand.Rand, pod map[string]any) {
	if random.IntN(2) == 0 {
		apply(random, pod, ofPod[random.IntN(len(ofPod))])
		return
	}
	spec, _ := pod["spec"].(map[string]any)
	lists := []string{"containers", "initContainers", "ephemeralContainers"}
	containers, _ := spec[lists[random.IntN(len(lists))]].([]any)
	if len(containers) == 0 {
		return
	}
	if container, ok := containers[random.IntN(len(containers))].(map[string]any); ok {
		apply(random, container, ofContainer[random.IntN(len(ofContainer))])
	}
}

func apply(random *rand.Rand, object map[string]any, c choice) {
	steps := strings.Split(c.path, ".")
	for _, step := range steps[:len(steps)-1] {
		inner, ok := object[step].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[step] = inner
		}
		object = inner
	}
	last := steps[len(steps)-1]
	values := strings.Split(c.values, ";")
	text := strings.TrimSpace(values[random.IntN(len(values))])
	if text == "" {
		delete(object, last)
		return
	}
	// As raw text, so that -0 stays what it is.
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	check(decoder.Decode(&value))
	object[last] = value
}
