"""Writes src/lint/kubernetes/fields.json from what an API server says of its kinds.

    kubectl get --raw /openapi/v2 | python3 tests/tools/kubernetes_fields.py 1.36 > src/lint/kubernetes/fields.json

A type is a mapping from field to type: a scalar's name, `@type`, `[item` for a list, `{value` for a map; `!` after it
says that the field is required.
"""
import json
import sys

d=json.load(sys.stdin)
defs=d['definitions']
KINDS="""apps/v1 Deployment
apps/v1 StatefulSet
apps/v1 DaemonSet
apps/v1 ReplicaSet
batch/v1 Job
batch/v1 CronJob
v1 Service
v1 ConfigMap
v1 Secret
v1 ServiceAccount
v1 PersistentVolumeClaim
v1 PersistentVolume
v1 Namespace
v1 Pod
v1 LimitRange
v1 ResourceQuota
networking.k8s.io/v1 Ingress
networking.k8s.io/v1 IngressClass
networking.k8s.io/v1 NetworkPolicy
rbac.authorization.k8s.io/v1 Role
rbac.authorization.k8s.io/v1 ClusterRole
rbac.authorization.k8s.io/v1 RoleBinding
rbac.authorization.k8s.io/v1 ClusterRoleBinding
storage.k8s.io/v1 StorageClass
policy/v1 PodDisruptionBudget
autoscaling/v2 HorizontalPodAutoscaler
autoscaling/v1 HorizontalPodAutoscaler
scheduling.k8s.io/v1 PriorityClass
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration
apiregistration.k8s.io/v1 APIService""".splitlines()
bygvk={}
for n,s in defs.items():
    for g in s.get('x-kubernetes-group-version-kind',[]):
        bygvk.setdefault((g['group'],g['version'],g['kind']),n)
short={}
types={}
def name(n):
    return '.'.join(n.split('.')[-3:]) if not n.endswith('Time') else n.split('.')[-1]
def ty(p):
    if '$ref' in p:
        n=p['$ref'].split('/')[-1]
        s=defs[n]
        if n.endswith('.IntOrString'): return 'int-or-string'
        if n.endswith('.Quantity'): return 'quantity'
        if 'properties' not in s:
            if s.get('type')=='string': return 'string'
            return 'any'
        add(n); return '@'+name(n)
    t=p.get('type')
    if p.get('format')=='int-or-string': return 'int-or-string'
    if t=='array': return '['+ty(p['items'])
    if t=='object':
        ap=p.get('additionalProperties')
        return '{'+ty(ap) if ap else 'any'
    return t or 'any'
def add(n):
    k=name(n)
    if k in types: 
        assert short[k]==n,(k,n,short[k]); return
    short[k]=n; types[k]={}
    s=defs[n]
    req=s.get('required',[])
    for f,p in s['properties'].items():
        types[k][f]=ty(p)+('!' if f in req else '')
roots={}
for line in KINDS:
    av,kind=line.split()
    g,v=av.split('/') if '/' in av else ('',av)
    n=bygvk[(g,v,kind)]; add(n); roots[line]='@'+name(n)
# Nobody writes a status: what it holds is left out.
for root in roots.values():
    if 'status' in types[root[1:]]:
        types[root[1:]]['status']='any'
reach=set()
def walk(t):
    t=t.rstrip('!').lstrip('[{')
    if t.startswith('@') and t[1:] not in reach:
        reach.add(t[1:])
        for f in types[t[1:]].values(): walk(f)
for r in roots.values(): walk(r)
types={k:dict(sorted(v.items())) for k,v in sorted(types.items()) if k in reach}
out=sys.stdout
out.write('{"version":"%s","kinds":' % sys.argv[1])
json.dump(roots,out,separators=(',',':'),sort_keys=True)
out.write(',\n"types":{\n')
out.write(',\n'.join(json.dumps(k)+':'+json.dumps(v,separators=(',',':')) for k,v in types.items()))
out.write('\n}}\n')
