#!/usr/bin/env python3
"""Writes snippets.json: small templates and what Jinja2 makes of them in the environment of models' chat templates.

Run with Jinja2 3.1.6: python3 make_snippets.py. Each case has "template" and either "text" or "error": true.
"""
import datetime
import json
import pathlib

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {'l':[3,1,2],'d':{'b':1,'a':'x'},'s':'Hello Wörld','n':None,'f':1.5,'t':True,'deep':[{'n':'b','v':2},{'n':'A','v':1},{'n':'c'}],'e':[],'nested':{'a':[1,{'b':"it's"}],'q':'say "hi"\n'},'w':'  a b\tc \n','zero':0,'big':1e20,'small':1e-7,'neg':-7}
EXPRESSIONS = '''{{ l }}|{{ d }}|{{ nested }}|{{ n }}|{{ t }}|{{ f }}|{{ big }}|{{ small }}
{{ l[0] }}{{ l[-1] }}{{ l[5] }}|{{ l[1:] }}{{ l[:-1] }}{{ l[::-1] }}{{ l[::2] }}{{ l[5:] }}{{ l[-100:100] }}
{{ s[1:3] }}|{{ s[::-1] }}|{{ s[-1] }}|{{ s[7] }}|{{ s[100] }}|{{ s[100:] }}|{{ s[5:1:-1] }}
{{ s|upper }}|{{ s|lower }}|{{ s|title }}|{{ s|capitalize }}|{{ 'heLLo wORLD it\\'s'|title }}
{{ s.split() }}|{{ s.split('l') }}|{{ s.split('l',1) }}|{{ w.split() }}|{{ w.split(None,1) }}|{{ s.rsplit('o',1) }}|{{ ''.split() }}|{{ ''.split('a') }}
{{ w.strip() }}|{{ w.lstrip() }}|{{ w.rstrip() }}|{{ s.strip('Hd') }}|{{ s.lstrip('eH') }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}
{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 1 ~ 2 ~ 'x' }} {{ 'a' ~ 1 + 2 }}
{{ 'a' + 'b' * 3 }} {{ [1] + [2] }} {{ [1] * 3 }} {{ (1,) }} {{ (1,2) }} {{ () }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' in 'abc' }} {{ 1 not in l }} {{ 'a' in d }} {{ not 1 }} {{ 1 and 2 }} {{ 0 or 'x' }} {{ n or 'y' }}
{{ x is defined }} {{ x is undefined }} {{ l is iterable }} {{ s is iterable }} {{ n is none }} {{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(4) }} {{ d is mapping }} {{ l is sequence }} {{ d is sequence }} {{ s is string }} {{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ true is integer }} {{ true is boolean }} {{ 1.0 is float }} {{ false is false }} {{ 0 is false }} {{ 1 is true }}
{{ l|join(',') }}|{{ l|join }}|{{ deep|map(attribute='n')|join('-') }}|{{ deep|map(attribute='v', default=9)|list }}|{{ d|join('+') }}
{{ l|sort }}|{{ l|sort(reverse=true) }}|{{ ['b','A','c']|sort }}|{{ ['b','A','c']|sort(case_sensitive=true) }}|{{ d|dictsort }}|{{ deep|sort(attribute='n')|map(attribute='n')|list }}
{{ l|first }}{{ l|last }}{{ e|first }}{{ l|length }}{{ s|length }}{{ d|length }}{{ l|sum }}{{ l|max }}{{ l|min }}{{ e|max }}
{{ l|reverse|list }}{{ 'abc'|reverse }}{{ [1,1,2]|unique|list }}{{ l|list }}{{ 'ab'|list }}{{ d|list }}
{{ deep|selectattr('v')|list }}|{{ deep|selectattr('v','equalto',1)|list }}|{{ deep|rejectattr('v','defined')|list }}|{{ l|select('odd')|list }}|{{ l|reject('equalto',1)|list }}|{{ l|select('>', 1)|list }}
{{ x|default('D') }}|{{ ''|default('D') }}|{{ ''|default('D',true) }}|{{ n|d('D') }}|{{ x|default }}
{{ d|tojson }}|{{ nested|tojson }}|{{ nested|tojson(indent=2) }}|{{ e|tojson(indent=2) }}|{{ s|tojson }}|{{ s|tojson(ensure_ascii=true) }}|{{ f|tojson }}|{{ '<&>\\x01\\u2028'|tojson }}|{{ {'z':1,'a':2}|tojson(sort_keys=true) }}|{{ d|tojson(separators=(',',':')) }}
{{ d.items()|list }}|{{ d.keys()|list }}|{{ d.values()|list }}|{{ d|items|list }}|{{ d.get('b') }}|{{ d.get('zz') }}|{{ d.get('zz','q') }}
{{ 'a-b-c'.replace('-','+') }}|{{ 'a-b-c'.replace('-','+',1) }}|{{ 'abc'.replace('','.') }}|{{ 'abc'.replace('','.',2) }}|{{ 'a-b'|replace('-','') }}
{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('x','c')) }}{{ 'abc'.find('c') }}{{ 'abc'.find('z') }}{{ 'banana'.rfind('a') }}{{ 'banana'.count('an') }}{{ 'abc'.index('b') }}
{{ 'ab\\ncd\\r\\nef'.splitlines() }}{{ 'ab\\ncd'.splitlines(true) }}
{{ '1'.isdigit() }}{{ 'a'.isalpha() }}{{ ' '.isspace() }}{{ 'Ab'.isupper() }}{{ 'ab'.islower() }}{{ ''.isdigit() }}{{ 'a1'.isalnum() }}
{{ '%s is %d and %.2f %5d|%-5s|%05d' % ('x', 3, 1.5, 42, 'ab', -42) }}|{{ '%s' % 'y' }}|{{ '%%' % () }}
{{ '{} {} {{}}'.format('a', 1) }}|{{ '{0}{1}{0}'.format('a','b') }}|{{ '{x}'.format(x=3) }}
{{ '3'|int + 1 }}|{{ 'x'|int }}|{{ 'x'|int(5) }}|{{ '3.7'|int }}|{{ 3.7|int }}|{{ '1.5'|float }}|{{ 'z'|float }}|{{ -3|abs }}|{{ 2.5|round }}|{{ 3.14159|round(2) }}|{{ 2.1|round(0,'ceil') }}
{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2,true) }}|{{ 'a\\n\\nb'|indent(2,blank=true) }}
{{ '<a href="x">\\'&'|e }}|{{ '  x '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ 5|string + '5' }}|{{ 'a b c'|wordcount }}
{{ range(3)|list }}{{ range(1,10,3)|list }}{{ range(5,0,-2)|list }}{{ range(0)|list }}
{{ 'yes' if t else 'no' }}|{{ 'yes' if n }}|{{ ('a' if zero else 'b') ~ 'c' }}
{{ "a" "b" 'c' }}|{{ 'x\\'y' }}|{{ "\\t\\u00e9\\x41\\101\\q" }}
{{ dict(a=1,b=2) }}|{{ {'a':{'b':{'c':1}}}.a.b.c }}|{{ {'a':1}['a'] }}|{{ d['a'] }}|{{ d.zz }}|{{ d['zz'] }}|{{ l.0 }}
{{ -l[0] }}|{{ +3 }}|{{ - 3|abs }}|{{ not true }}|{{ not n is none }}|{{ 1 if not false else 2 }}
{{ n.foo }}|{{ s.foo }}|{{ 5.0 }}|{{ 1e3 }}|{{ 1_000 }}|{{ 0.1+0.2 }}|{{ 1e16 }}|{{ 123456789012345680.0 }}|{{ 1e-5 }}|{{ 100000.0 }}|{{ 1.0e15 }}
{{ [none, true, 1.0, 'a', "it's", 'q"q', "b'\\"", '\\n\\\\', 'é', '\\x7f', '\\u200b', '😀'] }}
{{ l|batch(2)|list }}|{{ l|batch(2,0)|list }}|{{ l|map('string')|list }}|{{ ['a','B']|map('upper')|join }}|{{ s|truncate(5) }}|{{ 'hello big world out there'|truncate(12) }}|{{ 'hello big world'|truncate(9,true,'..',0) }}
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a','b') }};{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in 'héy' %}{{ c }}.{% endfor %}{% for x in e %}no{% else %}empty{% endfor %}{% for x in undefd %}no{% endfor %}
{% for i in l if i > 1 %}{{ loop.index }}:{{ i }}/{{ loop.length }} {% endfor %}{% for i in range(10) %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}{% set ns = namespace(a=0, b='q') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}
{% macro m(a, b=2, c='z') %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1,c=3) }}{{ m(b=1,a=2) }}{{ m() }}{% set q %}{{ m(5) }}!{% endset %}{{ q|length }}{{ q }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t2 = 1, 2 %}{{ t2 }}{% with z=5 %}{{ z }}{% endwith %}{{ z }}{% filter upper %}abc{{ s }}{% endfilter %}{% set up | upper | trim %} hi {% endset %}{{ up }}
{% if 0 %}a{% elif n %}b{% elif t %}c{% else %}d{% endif %}{% if x and y %}1{% endif %}{% raw %}{{ x }}{% y %}{% endraw %}
{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n-1) }}{% endif %}{% endmacro %}{{ r(5) }}{% set g = 1 %}{% macro gg() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ gg() }}
{{ x.y }}
{{ n + 1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ n.strip() }}
{{ l.append(4) }}
{{ d.pop('a') }}
{{ 1 / 0 }}
{{ nofunc() }}
{{ 'a'|nofilter }}
{{ 'a' is notest }}
{{ 1 in n }}
{{ 1 in 'abc' }}
{{ x + 'a' }}
{{ l['a'] }}|{{ l.foo }}
{{ 'a' < 1 }}
{{ ns.x }}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% set l.x = 1 %}
{% for a,b in [1,2] %}{% endfor %}
{% for a,b in [(1,2),(3,4)] %}{{ a+b }}{% endfor %}
{{ range(200000)|length }}
{{ x|tojson }}
{{ x|length }}{{ x|list }}{{ x|join }}{{ x|upper }}{{ x == y }}{{ x ~ 'a' }}{{ x is iterable }}{{ x is sequence }}{{ x in [1] }}{{ 1 in x }}
{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%A %H:%M:%S %j') }}
{{ true }} {{ True }} {{ none }} {{ None }} {{ [True, None] }}
{{ l == [3,1,2] }}{{ d == {'a':'x','b':1} }}{{ (1,2) == [1,2] }}{{ [1,2] < [1,3] }}{{ 'a' < 'b' }}{{ 'a' <= 'a' }}
{{ 'A' is upper }}{{ 'a' is lower }}{{ 'x' is in ['x'] }}{{ 3 is eq 3 }}{{ 3 is ne(4) }}{{ 3 is gt 2 }}{{ n is sameas none }}
{{ 'abc'|first }}{{ 'abc'|last }}{{ ''|first }}{{ d|first }}{{ 'a,b'|replace(',', ';')|upper }}{{ ('a,b').split(',')|last }}
{{ messages }}{{ tools }}{{ tools is defined }}{{ tools is none }}{{ documents }}{{ bos_token }}
{{- ' x ' -}} y {{- ' z ' }}
a  {%- if true %}  b  {%- endif -%}   c
'''.split('\n')
BLANKS = ['  {% if true %}\n  x\n  {% endif %}\ny\n','a\n  {% if true %}b{% endif %}\n\n c','{{ 1 }}  \n  {# c #}\n z\n\n','x {# c #}\ny','\t{%+ if true %}a{% endif %}\nb','{% if true +%}\na{% endif +%}\nb','{%- raw -%}  {{ a }}  {%- endraw -%}  b','{% raw %}\n{{ a }}\n{% endraw %}\nb','a\r\nb\rc\n','{{ "a\r\nb" }}','\n\n{{ 1 }}\n\n','{% for i in [1,2] %}\n  {{ i }}\n{% endfor %}\nend','  {{ 1 }}\n  {%- set x = 2 %}\n  {{ x }}','{#- c -#}  a','a {#- c -#}  b','{{ "}}" }}{{ {"a":{"b":1}} }}','{% set x = {"a": "%}"} %}{{ x }}','   {% set x=1 %}   {% set y=2 %}  z','{{1}}   {% if true %}a{% endif %}','\u3000{% if true %}a{% endif %}', '{%if true%}a{%else%}b{%endif%}','{{ 1 }}\n{%- if true -%}\n a\n{% endif %}\n','{% if true %}\n\n a {% endif %}',"{{ 'a' }}\n","{{ 'a' }}\n\n" ]


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def main():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=['jinja2.ext.loopcontrols'])
    env.filters['tojson'] = tojson
    env.globals['raise_exception'] = raise_exception
    env.globals['strftime_now'] = lambda f: datetime.datetime(2025, 3, 14, 9, 26, 53).strftime(f)
    cases = []
    for template in EXPRESSIONS + BLANKS:
        case = {'template': template}
        try:
            case['text'] = env.from_string(template).render(
                messages=[], tools=None, documents=None, add_generation_prompt=True, bos_token='<s>', eos_token='</s>',
                **VARIABLES)
        except Exception:
            case['error'] = True
        cases.append(case)
    data = {'jinja2': jinja2.__version__, 'variables': VARIABLES, 'cases': cases}
    path = pathlib.Path(__file__).with_name('snippets.json')
    path.write_text(json.dumps(data, ensure_ascii=False, indent=0) + '\n')


if __name__ == '__main__':
    main()
