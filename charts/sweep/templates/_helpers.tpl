{{- define "sweep.labels" -}}
app.kubernetes.io/name: sweep
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels of one part: (list . "mlflow") */}}
{{- define "sweep.partLabels" -}}
{{ include "sweep.labels" (first .) }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* What selects a part's pods, and never changes */}}
{{- define "sweep.selector" -}}
app.kubernetes.io/name: sweep
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "sweep.minioAddress" -}}
http://sweep-minio.{{ .Release.Namespace }}.svc:9000
{{- end }}

{{- define "sweep.mlflowAddress" -}}
http://sweep-mlflow.{{ .Release.Namespace }}.svc:5000
{{- end }}

{{- define "sweep.storeUrl" -}}
{{- if .Values.store.url }}{{ .Values.store.url }}{{ else if .Values.minio.enabled }}s3://{{ .Values.minio.buckets.studies }}/studies{{ end }}
{{- end }}

{{- define "sweep.storeForPods" -}}
{{- if .Values.store.endpoint.pods }}{{ .Values.store.endpoint.pods }}{{ else if and .Values.minio.enabled (not .Values.store.url) }}{{ include "sweep.minioAddress" . }}{{ end }}
{{- end }}

{{- define "sweep.makesStoreSecret" -}}
{{- if and .Values.minio.enabled (not .Values.store.url) .Values.store.makeSecret }}true{{ end }}
{{- end }}

{{- define "sweep.scheme" -}}
{{ ternary "https" "http" .Values.ingress.tls.enabled }}
{{- end }}

{{- define "sweep.storeForPeople" -}}
{{- if .Values.store.endpoint.people }}{{ .Values.store.endpoint.people }}{{ else if and .Values.ingress.enabled .Values.ingress.storeHost }}{{ include "sweep.scheme" . }}://{{ .Values.ingress.storeHost }}{{ end }}
{{- end }}

{{- define "sweep.origin" -}}
{{ include "sweep.scheme" . }}://{{ .Values.ingress.host }}
{{- end }}

{{- define "sweep.trackingForPods" -}}
{{- if .Values.tracking.pods }}{{ .Values.tracking.pods }}{{ else if .Values.mlflow.enabled }}{{ include "sweep.mlflowAddress" . }}{{ end }}
{{- end }}

{{- define "sweep.trackingForPeople" -}}
{{- if .Values.tracking.people }}{{ .Values.tracking.people }}{{ else if and .Values.ingress.enabled .Values.mlflow.enabled }}{{ include "sweep.origin" . }}{{ end }}
{{- end }}

{{/* The Secret that MLflow reaches its artifacts with */}}
{{- define "sweep.artifactsSecret" -}}
{{- if .Values.mlflow.artifacts.secret }}{{ .Values.mlflow.artifacts.secret }}{{ else if .Values.minio.enabled }}sweep-mlflow-artifacts{{ else }}{{ .Values.store.secret }}{{ end }}
{{- end }}

{{/* A value of a Secret that was made before, or a new one: (list . SECRET KEY VALUE) */}}
{{- define "sweep.kept" -}}
{{- $found := lookup "v1" "Secret" (first .).Release.Namespace (index . 1) -}}
{{- $data := dig "data" dict ($found | default dict) | default dict -}}
{{- if hasKey $data (index . 2) }}{{ get $data (index . 2) }}{{ else }}{{ index . 3 | b64enc }}{{ end }}
{{- end }}

{{/* PodSecurity restricted, of a pod: (list USER) */}}
{{- define "sweep.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ first . }}
runAsGroup: {{ first . }}
fsGroup: {{ first . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "sweep.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "sweep.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Name to value, as a list of variables */}}
{{- define "sweep.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* What a client in the cluster knows of its surroundings; a release that cannot be read for a
     moment then misleads nobody. */}}
{{- define "sweep.clientEnv" -}}
- name: HOME
  value: /tmp
- name: USER
  value: sweep
- name: PYTHONUNBUFFERED
  value: "1"
- name: SWEEP_STORE
  value: {{ include "sweep.storeUrl" . | quote }}
{{- with include "sweep.storeForPods" . }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.store.region | quote }}
{{- include "sweep.env" .Values.client.env }}
{{- end }}

{{/* A claim of a part: (list . "postgres") */}}
{{- define "sweep.claim" -}}
{{- $root := first . -}}
{{- $its := (get $root.Values (last .)).persistence -}}
{{- if and $its.enabled (not $its.existingClaim) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: sweep-{{ last . }}
  labels:
    {{- include "sweep.partLabels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep # uninstall leaves the data
spec:
  accessModes: [ReadWriteOnce]
  {{- if eq $its.storageClass "-" }}
  storageClassName: ""
  {{- else if $its.storageClass }}
  storageClassName: {{ $its.storageClass }}
  {{- end }}
  resources:
    requests:
      storage: {{ $its.size }}
{{- end }}
{{- end }}

{{- define "sweep.dataVolume" -}}
{{- $its := (get (first .).Values (last .)).persistence -}}
- name: data
  {{- if $its.enabled }}
  persistentVolumeClaim:
    claimName: {{ $its.existingClaim | default (printf "sweep-%s" (last .)) }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
