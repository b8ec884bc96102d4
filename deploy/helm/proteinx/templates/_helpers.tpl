{{- define "proteinx.labels" -}}
app.kubernetes.io/name: proteinx
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "proteinx.name" -}}
{{- printf "%s-%s" .root.Release.Name .part | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "proteinx.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "proteinx.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "proteinx.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "proteinx.fromSecret" -}}
- name: {{ .variable }}
  valueFrom: {secretKeyRef: {name: {{ .root.Values.secret.name }}, key: {{ .key }}}}
{{- end }}

{{- define "proteinx.store" -}}
{{- with .Values.store }}
{{- if .url }}
- {name: PROTEINX_STORE, value: {{ .url | quote }}}
- {name: AWS_REGION, value: {{ .region | quote }}}
{{- if .endpoint }}
- {name: AWS_ENDPOINT_URL, value: {{ .endpoint | quote }}}
{{- end }}
{{- if .allowHttp }}
- {name: AWS_ALLOW_HTTP, value: "true"}
{{- end }}
{{ include "proteinx.fromSecret" (dict "root" $ "variable" "AWS_ACCESS_KEY_ID" "key" "AWS_ACCESS_KEY_ID") }}
{{ include "proteinx.fromSecret" (dict "root" $ "variable" "AWS_SECRET_ACCESS_KEY" "key" "AWS_SECRET_ACCESS_KEY") }}
{{- end }}
{{- end }}
{{- end }}
