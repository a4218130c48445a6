"""Lines of Jinja, each a chat template of its own: one thing that Jinja2 under Python does, and minijinja may not."""

CONVERSATION = {
    "messages": [
        {"role": "system", "content": "Sys", "n": 3, "f": 2.50, "t": True, "e": [], "d": {"b": 1, "a": {"x": [1, "y"]}}},
        {"role": "user", "content": " It's \"so\"\n<b> é 日 \\ ", "big": 12345678901234567, "tiny": 1e-7, "neg": -0.0},
        {"role": "assistant", "content": "a,b,,c", "l": ["q", 2, 3.0, None, False, {"k": "v"}], "o": {"items": 1, "keys": 2}},
        {"role": "user", "content": "The quick brown fox", "huge": 1e300, "tenth": 0.1, "list": [3, 1, 2], "s": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}}],
}

M = "{% set s, u, a, v = messages[0], messages[1], messages[2], messages[3] %}"

# Expressions, printed each by itself. `s`, `u`, `a`, `v` are the four messages.
EXPRESSIONS = r"""
none
true
false
1.0
2.50
1e5
1e16
1e-5
100000000000000000000000.0
0.1 + 0.2
[1, 2.0, none, true, 'x', "it's"]
{'a': 1, "b": [none]}
(1, 2)
(1,)
()
u
a.l
a['o']
s.d
s.d.a.x[1]
u.big
u.tiny
u.neg
v.huge
v.tenth
messages | length
messages[-1].content
messages[1:][0].role
messages[:-1] | length
messages[::-1][0].role
messages[::2] | map(attribute='role') | list
messages[5:]
messages[-2:-1][0].content
v.content[::-1]
v.content[4:9]
v.content[-3:]
v.content[:-4]
v.content[0]
v.content[-1]
v.content[99]
v.content[99:]
u.content[1]
u.content[9:12]
messages[99]
messages[99] is defined
messages[99].role
s.nothing
s.nothing.more
s['nothing'] is undefined
nothing
nothing.more
nothing | length
nothing | default('d')
none | default('d')
none | default('d', true)
'' | default('d', boolean=true)
nothing is none
none is none
none is defined
s.t is true
s.t is boolean
1 is boolean
1 is integer
1.0 is integer
1.0 is float
true is integer
s.n is number
true is number
s is mapping
a.l is mapping
a.l is sequence
a.l is iterable
'x' is iterable
'x' is sequence
'x' is string
1 is iterable
s is iterable
s is sequence
nothing is iterable
nothing is string
a.l is string
s.n is odd
s.n is even
s.n is divisibleby 3
s.n is divisibleby(2)
1 is eq 1
2 is ge(1)
2 is gt 3
'a' is in ['a', 'b']
'a' is in 'abc'
'X' is upper
'x' is lower
s is sameas s
none is sameas none
range is callable
s.content is callable
'upper' is filter
'nofilter' is filter
'odd' is test
'role' in s
'role' not in s
'x' in v
'quick' in v.content
3 in v.list
none in a.l
'q' in a.l and 'z' not in a.l
1 in 'abc'
'x' in none
'x' in nothing
1 == 1.0
1 == true
'1' == 1
none == false
none == nothing
[1, 2] == [1, 2.0]
{'a': 1} == {'a': 1.0}
s == s
s == u
1 < 2 < 3
3 > 2 >= 2 != 1
'a' < 'b'
'a' < 1
none < 1
nothing < 1
[1, 2] < [1, 3]
not none
not ''
not []
not {}
not 0.0
not 'x'
none or 'x'
0 or [] or {}
'a' and 'b'
'a' and none
1 and 2 or 3
nothing or 'x'
'a' if true else 'b'
'a' if false
('a' if false) is undefined
'a' if none else 'b' if 0 else 'c'
1 + 1
1 + 1.0
1 - 2
2 * 3.5
7 / 2
6 / 2
7 // 2
-7 // 2
7 % 3
-7 % 3
7.5 % 2
2 ** 10
2 ** -1
2 ** 0.5
-2 ** 2
1 / 0
1 + true
'a' + 'b'
'a' + 1
1 + 'a'
'a' + none
'a' + nothing
nothing + 'a'
none + 'a'
'a' * 3
3 * 'a'
[1] * 2
[1] + [2]
(1,) + (2,)
'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1, 'x']
'a' ~ nothing ~ 'b'
1 ~ 2 + 3
'a' + 'b' ~ 'c' * 2
s.nothing ~ '!'
'%s and %r' % ('x', 'y')
'%d%%' % 5
'%5.2f|%-5s|%05d|%x' % (3.14159, 'ab', 42, 255)
'%s' % none
'%s' % [[1, 'a']]
'%s' % s.t
'%d' % 2.9
'%s %s' % 'x'
'%(a)s' % {'a': 1}
'{} {}'.format('a', 1)
'{0} {1} {0}'.format('a', 'b')
'{a}-{b}'.format(a=1, b='x')
'{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c')
'{:.2f}'.format(3.14159)
'{:05d}'.format(42)
'{!r}'.format('x')
'{}'.format(none)
'{}'.format(true)
'{}'.format([1, 'a'])
v.content.upper()
v.content.lower()
v.content.title()
v.content.capitalize()
v.content.swapcase()
v.content.split()
v.content.split(' ')
v.content.split(' ', 1)
v.content.split(maxsplit=1)
v.content.rsplit(' ', 1)
a.content.split(',')
a.content.split(',')[-1]
'x</t>y</t>z'.split('</t>')[-1]
'x'.split('</t>')[0]
''.split(',')
''.split()
a.content.partition(',')
a.content.rpartition(',')
a.content.partition('z')
'a\nb\r\nc'.splitlines()
'  x '.strip()
'xxaxx'.strip('x')
'\n\nx\n'.strip('\n')
'xyaxy'.lstrip('xy')
'xyaxy'.rstrip('yx')
'  x '.lstrip()
' x  '.rstrip()
'abc'.startswith('a')
'abc'.startswith(('x', 'a'))
'abc'.endswith('bc')
'abc'.startswith('b', 1)
'abc'.removeprefix('a')
'abc'.removesuffix('c')
'abcabc'.replace('b', 'X')
'abcabc'.replace('b', 'X', 1)
'abcabc'.find('c')
'abcabc'.rfind('c')
'abc'.find('z')
'abc'.index('b')
'abc'.index('z')
'abcabc'.count('b')
', '.join(['a', 'b'])
', '.join(s.keys())
', '.join([1])
'abc'.isdigit()
'12'.isdigit()
'ab1'.isalnum()
'ab'.isalpha()
' '.isspace()
'Ab'.isupper()
'ab'.islower()
'7'.zfill(3)
'a'.center(5)
'a'.ljust(3) ~ '|'
'a'.rjust(3)
'é'.encode('utf-8')
'abc'.nosuch()
'ß'.upper()
'a\tb'.expandtabs(4)
s.keys() | list
s.values() | list | length
s.items() | list | first
s.get('role')
s.get('nothing')
s.get('nothing', 'd')
s.get('nothing') is none
s.keys()
s.d.items()
s.d.values()
a.o['items']
a.o.get('items')
a.o | items | list
v.list.index(1)
v.list.count(1)
v.list.append(4)
v.list.pop()
v.list.sort()
s.update({'x': 1})
s.pop('role')
s.setdefault('a', 1)
s.copy() == s
v.list.copy()
v.content.nosuch
v.list.nosuch is defined
s.d.a.nosuch.x
v.list | first
v.list | last
[] | first
[] | last
'' | first
v.list | min
v.list | max
v.list | sum
v.list | sort
v.list | sort(reverse=true)
v.list | reverse | list
v.content | reverse
v.list | join('-')
v.list | join
a.l | join(', ')
messages | join(', ', attribute='role')
messages | map(attribute='role') | join(' ')
messages | map(attribute='n', default='?') | list
messages | map(attribute='d.a.x') | first
messages | map('length') | list
messages | map(attribute='content') | map('upper') | list
messages | map(attribute='role') | unique | list
messages | selectattr('role', 'equalto', 'user') | list | length
messages | selectattr('role', 'eq', 'user') | map(attribute='content') | list
messages | selectattr('role', '==', 'user') | list | length
messages | selectattr('role', 'in', ['system', 'user']) | list | length
messages | selectattr('n') | list | length
messages | selectattr('n', 'defined') | list | length
messages | rejectattr('role', 'equalto', 'user') | map(attribute='role') | list
messages | rejectattr('n', 'undefined') | list | length
a.l | select('string') | list
a.l | select('number') | list
a.l | select | list
a.l | reject('none') | list
a.l | reject | list
v.list | select('gt', 1) | list
v.list | map('string') | join
messages | groupby('role') | map('first') | list
messages | groupby('role') | length
v.list | batch(2) | list
v.list | slice(2) | list
messages | list | length
'abc' | list
s | list
s | dictsort | map('first') | list
s.d | dictsort
s.d | dictsort(reverse=true)
s.d | items | list
s | length
s | count
'héé' | length
v.content | upper
v.content | lower
v.content | title
v.content | capitalize
'  x ' | trim
'xxaxx' | trim('x')
none | trim
1 | trim
v.content | replace('quick', 'slow')
'aaa' | replace('a', 'b', 2)
1 | replace('1', 'x')
none | string
1.0 | string
true | string
s.d | string
'5' | int
'5.7' | int
'x' | int
'x' | int(7)
'0x1A' | int(base=16)
none | int
5.9 | int
'5.5' | float
'x' | float
5 | float
5.5 | round
5.567 | round(2)
5.4 | round(method='ceil')
2.5 | round | int
-3 | abs
'a b' | urlencode
'<b>&"\'' | e
'<b>' | safe
'<b>' | escape
'<b>x</b>' | striptags
'a b c' | wordcount
'%s-%s' | format('a', 1)
v.content | truncate(9)
v.content | truncate(9, true)
v.content | truncate(9, true, '')
v.content | center(25)
'a\nb\n\nc' | indent
'a\nb\n\nc' | indent(2, true)
'a\nb\n\nc' | indent(2, blank=true)
'a\nb' | indent('> ')
'a\nb' | indent(width=1, first=true)
1000000 | filesizeformat
s.d | tojson
a.l | tojson
u | tojson
u.content | tojson
u.content | tojson(ensure_ascii=true)
v | tojson(indent=2)
s.d | tojson(indent=4)
[] | tojson(indent=4)
{} | tojson(indent=4)
[[], {}, [1]] | tojson(indent=1)
s.d | tojson(indent='--')
s.d | tojson(indent=0)
s.d | tojson(sort_keys=true)
s.d | tojson(separators=(',', ':'))
s.d | tojson(indent=2, separators=(',', ' = '))
s.d | tojson(false, 2)
(1, 'a') | tojson
{1: 'a', 2.5: 'b', true: 'c', none: 'd'} | tojson
{'b': 1, 'a': 2} | tojson
'\x7f\x00\x1f\u2028/<>&\'' | tojson
'\U0001f600' | tojson(ensure_ascii=true)
none | tojson
nothing | tojson
s.keys() | tojson
range(3) | tojson
v.huge | tojson
[1.0, 0.1, 1e16, -0.0, 1e-7] | tojson
tools[0] | tojson
tools | tojson(indent=4) | length
documents
documents is none
tools is not none
add_generation_prompt
bos_token ~ eos_token ~ unk_token ~ pad_token
sep_token is defined
range(5) | list
range(2, 8, 3) | list
range(5, 0, -2) | list
range(3)
range(100001)
dict(a=1, b='x')
dict({'a': 1}, b=2)
dict([('a', 1)])
namespace(a=1).a
namespace({'a': 2}).a
namespace().a
namespace(_a=1)._a
joiner(', ')() ~ 'a'
cycler('a', 'b').next()
zip is defined
zip([1], [2])
nosuch()
s.nosuch()
'x' | nosuch
'x' is nosuch
'x' | choice
raise_exception('a "refusal" of ' ~ s.n)
raise_exception(s.d)
raise_exception()
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d')
strftime_now('%B %d, %Y')
strftime_now('%A, %-d %B %Y, %H:%M:%S')
strftime_now('%I:%M %p')
strftime_now('%y%m%d %j %U %W %u %w %a')
strftime_now('%c | %x | %X')
strftime_now('%s %f %z %Z %%')
strftime_now('%e %k %l %D %F %T %R %h %G-%V %C')
strftime_now('%Q %')
strftime_now('')
strftime_now(1)
strftime_now is defined
'a' 'b'
'a\tb\\c\'d\x41\u00e9\N{BULLET}'
"a\"b\d\s\/"
'a' 'b' | upper
1_000
0x10
0b11
1e3
.5
-1 | abs
- 1
+1
not true is true
not none is none
(1, 2)[0]
[1, [2, 3]][1][0]
{'a': {'b': 1}}.a.b
{'a': 1}['a']
{'a': 1, 'a': 2}
'a,b'.split(',')[0].upper()
(s.content ~ 'x').lower()
messages[0]['content'][0]
messages[s.n].content
s.n if s.n > 2 else 0
(messages | length - 1)
messages | length - 1
messages|length == 4
'x' if messages|length > 3 and messages[0].role == 'system' else 'y'
messages[messages | length - 1].role
loop is defined
self is defined
caller is defined
true is sameas true
[1, 2, 3] | map('int') | sum
['a', 'B'] | sort
['a', 'B'] | sort(case_sensitive=true)
[1, 'a'] | sort
messages | sort(attribute='role') | map(attribute='role') | list
messages | max(attribute='content') is mapping
['b', 'a'] | unique | first
'abc' | random is string
v.list | tojson | safe
'x' | string is string
s.content is eq('Sys')
'a' is not string
'a' is not in ['b']
none is not none
nothing is not defined
s.nothing is not defined
1 is not number
(s.t and not s.e) | string
'1,2'.split(',') | map('int') | list
['x', 'y'] | map('replace', 'x', 'z') | list
[['a', 1], ['b', 2]] | map('last') | list
[{'a': 1}, {'a': 2}] | sum(attribute='a')
[{'a': 'x'}, {}] | map(attribute='a') | list
[1, 2, 3, 4][1:3]
[1, 2, 3, 4][::-2]
[1, 2, 3, 4][:10]
(1, 2, 3)[1:]
'abc'[::2]
none[0]
1[0]
nothing[0]
s[0]
'a' in ('a', 'b')
('x', 1) == ('x', 1.0)
[none] == [nothing]
1 if 1 is not none
'é' < 'z'
'Z' < 'a'
-7 // 2.0
7 // -2
2 ** 3 ** 2
10 - 3 - 2
100 / 10 / 2
2 + 3 * 4 ~ 'x'
[] ~ {}
'' ~ ()
'a' == 'a' == 'a'
[1, 2, 3][-1]
messages[-5]
"""

STATEMENTS = r"""
{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}>{{ loop.nextitem.role if loop.nextitem is defined else '-' }} {% endfor %}
{% for m in messages %}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }} {% endfor %}
{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{{ m.content }}{% endfor %}
{% for m in messages if m.role == 'nobody' %}x{% else %}empty{% endfor %}
{% for m in [] %}x{% else %}empty{% endfor %}
{% for m in nothing %}x{% else %}empty{% endfor %}
{% for m in none %}x{% endfor %}
{% for m in 3 %}x{% endfor %}
{% for c in 'héy' %}[{{ c }}]{% endfor %}
{% for k in s %}{{ k }} {% endfor %}
{% for k, v in s.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in s.d | items %}{{ k }}={{ v }};{% endfor %}
{% for k, v in s | dictsort %}{{ k }};{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for a, b in [1] %}{{ a }}{% endfor %}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{% else %}not{% endfor %}
{% for i in range(3) %}{% for j in range(3) %}{% if j > i %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% for i in range(3) %}{% for j in range(3) %}{% if j == i %}{% continue %}{% endif %}{{ i }}{{ j }} {% else %}e{% endfor %}{{ loop.index }}{% endfor %}
{% for i in range(4) %}{% set x = i %}{% if i == 1 %}{% continue %}{% endif %}{{ x }}{% if i == 2 %}{% break %}{% endif %}{% endfor %}{{ x }}
{% for i in range(4) %}{% with y = i * 2 %}{% if y == 2 %}{% continue %}{% endif %}{{ y }}{% if y == 4 %}{% break %}{% endif %}{% endwith %}{% endfor %}.
{% for i in range(4) %}{% set q %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% endset %}{{ q }}{% endfor %}.
{% for i in range(4) %}{% filter upper %}a{{ i }}{% if i == 1 %}{% continue %}{% endif %}b{% endfilter %}{% endfor %}.
{% for i in range(4) if i != 1 %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}
{% for i in range(4) if i != 1 %}{% set z = i %}{% if i == 3 %}{% break %}{% endif %}{{ z }}{% endfor %}{{ z is defined }}
{% for i in range(9) if i % 2 %}{% if loop.index == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% set ns = namespace(n=0) %}{% for i in range(5) if ns.n < 3 %}{% set ns.n = ns.n + 1 %}{{ i }}{% endfor %}{{ ns.n }}
{% set ns = namespace(n=0) %}{% for i in range(5) if ns.n < 3 %}{% set ns.n = ns.n + 1 %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}{{ ns.n }}
{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b }}|{{ ns.b is defined }}
{% set ns = namespace(l=[]) %}{% for i in range(3) %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}
{% for i in [1, 2] %}{{ x is defined }}{% set x = i %}{% endfor %}
{% set x, y = 'a', 'b' %}{{ x }}{{ y }}
{% set x, y = [1, 2] %}{{ x }}{{ y }}
{% set x, y = 'ab' %}{{ x }}{{ y }}
{% set x %}  a {{ 1 }} {% endset %}[{{ x }}]{{ x | trim | length }}
{% set x | upper | trim %} abc {% endset %}[{{ x }}]
{% set messages = messages[1:] %}{{ messages | length }}{{ messages[0].role }}
{% set s.x = 1 %}
{% if messages %}a{% elif none %}b{% else %}c{% endif %}
{% if not messages %}a{% elif 1 %}b{% endif %}
{% if nothing %}a{% else %}b{% endif %}
{% if nothing.more %}a{% endif %}
{% if s.nothing is defined and s.nothing.more %}a{% else %}b{% endif %}
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c='z') }} {{ m(a=4, b=none) }} {{ m() }}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}{{ m(none) }}
{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(1, 2, 3) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, b=2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}
{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}
{% macro m() %}{{ messages | length }}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}
{% macro m() %}{% set x = 7 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}
{% macro m() %}x{% endmacro %}{% if m() == 'x' %}same{% endif %}{{ m() + 'y' }}{{ m() | upper }}{{ m().strip() }}{{ m() is string }}{{ m() | length }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}
{% macro m() %}<{{ caller('q') }}>{% endmacro %}{% call(x) m() %}in {{ x }}{% endcall %}
{% macro m(a=1, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}{{ m(2) }}
{% macro m(x) -%} {{ x }} {%- endmacro %}[{{ m('a') }}]
{% macro m() %}{{ strftime_now('%Y') }}{{ raise_exception('from within') }}{% endmacro %}{{ m() }}
{% for i in range(3) %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{% macro m(xs) %}{% for x in xs %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}{% endmacro %}{% for i in [1] %}{{ m([1, 2, 3]) }}{% endfor %}
{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x }}
{% with x = 1, y = 2 %}{{ x + y }}{% endwith %}{{ x is defined }}
{% filter upper %}abc {{ s.content }}{% endfilter %}
{% filter replace('a', 'b') | upper %}abc{% endfilter %}
{% generation %}a{% set g = 1 %}{{ g }}{% endgeneration %}{{ g is defined }}
{%- generation -%} a {%- endgeneration -%} b
{% raw %}{{ x }}{% y %}{% endraw %}
{# a #}x{#- b -#} y {#- c #} z
{% block b %}in{% endblock %}
{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{{ loop.depth }}{% endif %}{% endfor %}
{% do s.update({}) %}
{% autoescape true %}{{ '<' }}{% endautoescape %}
{% include 'x' %}
{% if x %}
{% endif %}
{{ }}
{{ 1 + }}
{{ 'a }}
{{ a b }}
{% nosuch %}
{% for %}{% endfor %}
{% set %}
{{ x | }}
{% endfor %}
{{ (1, 2 }}
{{ {'a' 1} }}
{% if 1 = 1 %}{% endif %}
{% break %}
{% if false %}{{ 'x' | nosuch }}{% endif %}ok
{% if false %}{{ nosuch() }}{{ x.y.z }}{% endif %}ok
{{ s.content }}{{ '\n' }}{{ s.role -}}   {{ 'x' }}
{%+ if true %}a{% endif +%} b
{{ messages[0].content.strip() + '\n' if messages[0].content else '' }}
{{- ' lead' }} {{ 'trail ' -}}
{% for m in messages | reverse %}{{ loop.index }}{{ m.role[0] }}{% endfor %}
{% for m in messages[::-1] %}{{ loop.last }}{% endfor %}
{% for m in messages | selectattr('role', 'equalto', 'user') %}{{ loop.length }}{{ loop.last }}{% endfor %}
{% for t in tools %}{% for k, v in t.function.parameters.properties.items() %}{{ k }}:{{ v.type }}{% endfor %}{% endfor %}
{% for i in range(3) -%} {{ i }} {%- if not loop.last %}, {% endif -%} {% endfor %}
{% set l = [] %}{% for i in range(3) %}{% set _ = l.append(i) %}{% endfor %}{{ l }}
{% set d = {} %}{% set _ = d.update({'a': 1}) %}{{ d }}
{% set x = {'a': 1} %}{{ dict(x, b=2) }}{{ x }}
{% set x = messages | map(attribute='role') %}{{ x | list }}{{ x | list }}
{% set x = 'a' if nothing else none %}{{ x }}{{ x is none }}
{{ loop }}
{% for m in messages %}{{ loop.nosuch is defined }}{% endfor %}
{% set content = messages[1]['content'] | trim %}{{ content ~ '|' }}{{ content[0:2] }}
{% set ns = namespace(first=true) %}{% for m in messages %}{% if m.role == 'user' and ns.first %}{% set ns.first = false %}{{ m.content | trim }}{% endif %}{% endfor %}
{% set i = messages | length %}{% for m in messages %}{% set i = i - 1 %}{{ i }}{% endfor %}{{ i }}
{% for m in messages %}{% if loop.index0 == 0 %}{% set first = m.role %}{% endif %}{{ first }} {% endfor %}
{% set a = 1 %}{% for x in [1, 2] %}{% if x == 2 %}{% set a = 5 %}{% endif %}{{ a }}{% endfor %}{{ a }}
{{ "multi
line" }}
{{ messages[0].role == "system" and messages[0]["content"] or "none" }}
{%- for m in messages -%}
  {{- m.role -}}
  {%- if not loop.last -%}{{- '-' -}}{%- endif -%}
{%- endfor -%}
"""

# What doesn't fit a line: the white space around tags.
BLOCKS = [
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a\n  {% if true %}  \n  b\n  {% endif %}\nc\n\n",
    "a  {% if true %}b{% endif %}  \nc",
    "  {% if true %}\n  b {% endif %}\n",
    "a\n  {%- if true -%}\n  b\n  {%- endif %}\n c",
    "a\n  {%+ if true +%}\n  b\n  {%+ endif %}\n c",
    "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n",
    "a\n  {# x #}\n  b\n{#- y -#}\n c\n",
    "a\n  {{ 'x' }}\n  {{- 'y' -}}\n  b\n",
    "\n\n{{ 'x' }}\n\n",
    "{% raw %}\n {{ x }} \n{% endraw %}\nz",
    "\t{% set x = 1 %}\t{{ x }}\n\t{% set y = 2 %}\n\t{{ y }}",
    "{% for i in range(2) %}\n  {{ i }}\n{% endfor %}",
    "{% for i in range(2) -%}\n  {{ i }}\n{%- endfor %}\n\n\nend",
    "{{ 'x' }}\n{% if true %}\n\ny{% endif %}",
    "{{ 'x' }} {% if true %} y{% endif %} z",
    "x{# one #} {# two #}\n{# three #}\n",
    "{%- set a = 1 -%}\n\n\n{{ a }}\n\n{%- set b = 2 %}\n{{ b }}",
    "{% macro m() %}\n  in\n{% endmacro %}\n[{{ m() }}]",
    "{% set x %}\n a\n{% endset %}\n[{{ x }}]",
    "{% generation %}\nx\n{% endgeneration %}\ny",
    "\u00a0{% if true %}\u2003x{%- endif %}",
    "{{ 'a' }}{% if true %}\n{% endif %}\n{{ 'b' }}",
    "{{ '''a''' }}",
    "",
    "plain",
    "{{ 'x' }}\n",
    "{{ 'x' }}\n\n",
]


def statements():
    lines = STATEMENTS.strip("\n").split("\n")
    at = 0
    while at < len(lines):
        # Three of them go over several lines.
        last = {'{{ "multi': at + 1, "{%- for m in messages -%}": at + 3}.get(lines[at], at)
        yield M + "\n".join(lines[at : last + 1])
        at = last + 1


SNIPPETS = [
    *(M + "{{ " + line + " }}" for line in EXPRESSIONS.strip("\n").split("\n")),
    *statements(),
    *BLOCKS,
]
