// Reads a namespace with the Node client, and prints all that it gets, errors among it.
import * as k8s from '@kubernetes/client-node';

const [kubeconfig, namespace] = process.argv.slice(2);
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

async function say(what, call) {
  try {
    console.log(what, JSON.stringify(await call()));
  } catch (error) {
    console.log(what, 'error:', error, error.body);
  }
}

await say('secrets', () => core.listNamespacedSecret({ namespace }));
await say('secret', () => core.readNamespacedSecret({ namespace, name: 'db' }));
await say('configmaps', () => core.listNamespacedConfigMap({ namespace }));
await say('pods', () => core.listNamespacedPod({ namespace }));
await say('events', () => core.listNamespacedEvent({ namespace }));
await say('log', () => core.readNamespacedPodLog({ namespace, name: 'web' }));
await say('deployments', () => apps.listNamespacedDeployment({ namespace }));
for (const plural of ['vaults', 'applications']) {
  const group = { group: 'canaries.example.com', version: 'v1', namespace, plural };
  await say(plural, () => custom.listNamespacedCustomObject(group));
}
await say('objects', () => objects.list('canaries.example.com/v1', 'Vault', namespace));
await say('watch', () => new Promise((resolve) => {
  const events = [];
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  new k8s.Watch(config).watch(
    path, { timeoutSeconds: 1 }, (type, object) => events.push({ type, object }), () => resolve(events));
}));
await say('replace', async () => {
  const body = await core.readNamespacedConfigMap({ namespace, name: 'app' });
  body.metadata.labels.by = 'node';
  return core.replaceNamespacedConfigMap({ namespace, name: 'app', body });
});
