# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP service names that a port may be written as.

A table of our own instead of the machine's services data base, so that a file means the same
on every machine. Numbers are those of the IANA registry of service names. It holds nothing else.
"""

from __future__ import annotations

_NUMBERS = """
tcpmux 1, echo 7, discard 9, sink 9, null 9, systat 11, users 11, daytime 13, netstat 15, qotd 17,
quote 17, chargen 19, ttytst 19, source 19, ftp-data 20, ftp 21, ssh 22, telnet 23, smtp 25,
mail 25, time 37, timserver 37, nameserver 42, name 42, whois 43, nicname 43, tacacs 49, domain 53,
gopher 70, finger 79, http 80, www 80, www-http 80, kerberos 88, kerberos5 88, krb5 88,
hostname 101, hostnames 101, iso-tsap 102, csnet-ns 105, cso 105, rtelnet 107, pop2 109,
pop-2 109, postoffice 109, pop3 110, pop-3 110, sunrpc 111, portmapper 111, auth 113,
authentication 113, tap 113, ident 113, sftp 115, uucp-path 117, nntp 119, readnews 119, untp 119,
ntp 123, epmap 135, loc-srv 135, netbios-ns 137, netbios-dgm 138, netbios-ssn 139, imap 143,
imap2 143, snmp 161, snmptrap 162, snmp-trap 162, cmip-man 163, cmip-agent 164, mailq 174,
xdmcp 177, nextstep 178, bgp 179, prospero 191, irc 194, smux 199, at-rtmp 201, at-nbp 202,
at-echo 204, at-zis 206, qmtp 209, z3950 210, wais 210, ipx 213, imap3 220, link 245, ldap 389,
svrloc 427, mobileip-agent 434, https 443, snpp 444, microsoft-ds 445, kpasswd 464, urd 465,
smtps 465, ssmtp 465, submissions 465, saft 487, isakmp 500, exec 512, login 513, shell 514,
cmd 514, printer 515, spooler 515, efs 520, tempo 526, courier 530, rpc 530, conference 531,
netnews 532, uucp 540, klogin 543, kshell 544, rtsp 554, nntps 563, snntp 563, submission 587,
msa 587, ipp 631, ldaps 636, tinc 655, silc 706, kerberos-adm 749, rsync 873, domain-s 853,
ftps-data 989, ftps 990, telnets 992, imaps 993, ircs 994, pop3s 995, spop3 995, socks 1080,
openvpn 1194, rmiregistry 1099, lotusnote 1352, ms-sql-s 1433, ms-sql-m 1434, ingreslock 1524,
datametrics 1645, sa-msg-port 1646, l2f 1701, l2tp 1701, radius 1812, radius-acct 1813,
nfs 2049, cvspserver 2401, mysql 3306, rdp 3389, ms-wbt-server 3389, nut 3493, svn 3690,
subversion 3690, epmd 4369, rwhois 4321, sip 5060, sip-tls 5061, xmpp-client 5222, jabber-client
5222, xmpp-server 5269, jabber-server 5269, postgresql 5432, postgres 5432, amqps 5671, amqp 5672,
x11 6000, redis 6379, ircd 6667, http-alt 8080, webcache 8080, puppet 8140, bacula-dir 9101,
bacula-fd 9102, bacula-sd 9103, git 9418, amanda 10080, zabbix-agent 10050, zabbix-trapper 10051
"""


def _table() -> dict[str, int]:
    words = _NUMBERS.replace(",", " ").split()
    return {name: int(number) for name, number in zip(words[::2], words[1::2])}


PORTS = _table()
