// Command client reads a namespace as programs do: with the typed, the dynamic and the metadata
// client of client-go, as lists, objects, watches and logs, and through an informer. It writes
// all that it gets, errors among it, to its standard output.
//
// It writes too: a Secret is read, labelled and updated whole.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var resources = []schema.GroupVersionResource{
	{Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "configmaps"},
	{Version: "v1", Resource: "pods"},
	{Version: "v1", Resource: "events"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "canaries.example.com", Version: "v1", Resource: "vaults"},
	{Group: "canaries.example.com", Version: "v1", Resource: "applications"},
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	config.QPS = -1
	namespace := os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	typed(ctx, config, namespace)
	// As the controllers do: protobuf first, JSON where there is none.
	protobuf := rest.CopyConfig(config)
	protobuf.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	protobuf.ContentType = "application/json"
	typed(ctx, protobuf, namespace)
	untyped(ctx, config, namespace)
	informed(ctx, config, namespace)
	writes(ctx, config, namespace)
}

func typed(ctx context.Context, config *rest.Config, namespace string) {
	client := kubernetes.NewForConfigOrDie(config)
	core := client.CoreV1()
	secrets, err := core.Secrets(namespace).List(ctx, metav1.ListOptions{})
	say("typed secrets", secrets, err)
	maps, err := core.ConfigMaps(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	say("typed configmaps", maps, err)
	one, err := core.ConfigMaps(namespace).Get(ctx, "app", metav1.GetOptions{})
	say("typed configmap", one, err)
	pods, err := core.Pods(namespace).List(ctx, metav1.ListOptions{})
	say("typed pods", pods, err)
	events, err := core.Events(namespace).List(ctx, metav1.ListOptions{})
	say("typed events", events, err)
	deployments, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	say("typed deployments", deployments, err)
	jobs, err := client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	say("typed jobs", jobs, err)
	seconds := int64(1)
	watched, err := core.Secrets(namespace).Watch(ctx, metav1.ListOptions{TimeoutSeconds: &seconds})
	follow("typed watch", watched, err)
	stream, err := core.Pods(namespace).GetLogs("web", &corev1.PodLogOptions{}).Stream(ctx)
	if err != nil {
		say("typed log", nil, err)
		return
	}
	defer stream.Close()
	if _, err := io.Copy(os.Stdout, stream); err != nil {
		say("typed log", nil, err)
	}
}

func untyped(ctx context.Context, config *rest.Config, namespace string) {
	objects := dynamic.NewForConfigOrDie(config)
	partial := metadata.NewForConfigOrDie(config)
	for _, resource := range resources {
		list, err := objects.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		say("dynamic "+resource.Resource, list, err)
		seconds, initial := int64(1), true
		watched, err := objects.Resource(resource).Namespace(namespace).Watch(ctx, metav1.ListOptions{
			TimeoutSeconds: &seconds, SendInitialEvents: &initial, AllowWatchBookmarks: true,
			ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		})
		follow("dynamic watch "+resource.Resource, watched, err)
		about, err := partial.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		say("metadata "+resource.Resource, about, err)
	}
}

func informed(ctx context.Context, config *rest.Config, namespace string) {
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(
		dynamic.NewForConfigOrDie(config), 0, namespace, nil)
	for _, resource := range resources {
		factory.ForResource(resource)
	}
	factory.Start(ctx.Done())
	for resource, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			fmt.Println("informer", resource, "is not synced")
		}
		for _, object := range factory.ForResource(resource).Informer().GetStore().List() {
			say("informer "+resource.Resource, object, nil)
		}
	}
}

func writes(ctx context.Context, config *rest.Config, namespace string) {
	secrets := kubernetes.NewForConfigOrDie(config).CoreV1().Secrets(namespace)
	secret, err := secrets.Get(ctx, "db", metav1.GetOptions{})
	if err == nil {
		secret.Labels["by"] = "client-go"
		secret, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	say("typed update", secret, err)
	vaults := dynamic.NewForConfigOrDie(config).Resource(resources[6]).Namespace(namespace)
	var vault *unstructured.Unstructured
	if vault, err = vaults.Get(ctx, "v", metav1.GetOptions{}); err == nil {
		vault.SetLabels(map[string]string{"by": "client-go"})
		vault, err = vaults.Update(ctx, vault, metav1.UpdateOptions{})
	}
	say("dynamic update", vault, err)
}

func follow(what string, watched watch.Interface, err error) {
	if err != nil {
		say(what, nil, err)
		return
	}
	for event := range watched.ResultChan() {
		say(what+" "+string(event.Type), event.Object, nil)
	}
}

func say(what string, object any, err error) {
	if err != nil {
		fmt.Printf("%s: error: %v\n", what, err)
		return
	}
	text, err := json.Marshal(object)
	fmt.Println(what+":", string(text), err)
}
