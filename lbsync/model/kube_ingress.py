"""The few fields of Ingress and IngressClass (networking.k8s.io/v1) that decide what is published."""

from lbsync.model.kube import KubeObject, ObjectMeta


class ServiceBackendPort(KubeObject, frozen=True):
    """A Service's port, by name or by number."""

    name: str | None = None
    number: int | None = None


class IngressServiceBackend(KubeObject, frozen=True):
    """A Service in the Ingress' own namespace."""

    name: str | None = None
    port: ServiceBackendPort | None = None


class TypedObjectReference(KubeObject, frozen=True):
    """Some other object as a backend; lbsync serves none of these."""

    kind: str | None = None
    name: str | None = None


class IngressBackend(KubeObject, frozen=True):
    """Where requests go: a Service, or another object."""

    service: IngressServiceBackend | None = None
    resource: TypedObjectReference | None = None


class HTTPIngressPath(KubeObject, frozen=True):
    """One path of a rule."""

    path: str | None = None
    path_type: str | None = None
    """Exact, Prefix or ImplementationSpecific."""
    backend: IngressBackend | None = None


class HTTPIngressRuleValue(KubeObject, frozen=True):
    """The paths of a rule."""

    paths: tuple[HTTPIngressPath, ...] | None = None


class IngressRule(KubeObject, frozen=True):
    """One host (null or empty: every host) and its paths."""

    host: str | None = None
    http: HTTPIngressRuleValue | None = None


class IngressTLS(KubeObject, frozen=True):
    """Hosts with a certificate in a Secret; lbsync reads no Secrets."""

    hosts: tuple[str, ...] | None = None
    secret_name: str | None = None


class IngressSpec(KubeObject, frozen=True):
    """What an Ingress asks for."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    rules: tuple[IngressRule, ...] | None = None
    tls: tuple[IngressTLS, ...] | None = None


class Ingress(KubeObject, frozen=True):
    """networking.k8s.io/v1 Ingress."""

    metadata: ObjectMeta = ObjectMeta()
    spec: IngressSpec | None = None


class IngressClassSpec(KubeObject, frozen=True):
    """Whose class it is."""

    controller: str | None = None


class IngressClass(KubeObject, frozen=True):
    """networking.k8s.io/v1 IngressClass."""

    metadata: ObjectMeta = ObjectMeta()
    spec: IngressClassSpec | None = None
