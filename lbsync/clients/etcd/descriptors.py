"""etcd's wire messages (mvccpb, authpb, etcdserverpb of API 3.3), as data.

A serialized `google.protobuf.FileDescriptorSet` of etcd's kv.proto, auth.proto and rpc.proto as
`etcd3` 0.12 ships them, service definitions left out, zlib-compressed, base85. The .proto files are
copyright The etcd Authors, Apache-2.0. `lbsync.clients.etcd.protobuf` turns it into classes.

Made by `scripts/etcd-descriptors`; a test compares it with the `etcd3` that is installed.
"""

PACKED = (
    "c-pmDOK%(36*eE@<M1JBB-xacwDQC<>?B|iIZleUKunR0te6p1l2Q;L2r(kBq>0EGW@gAp>8{;$RiHr8{*j`KZVL2oblZK`"
    "-Synp%pG!MI}>L^Y0jMYJ?FdU-hqE6A$K{iO&!~_wajEb98OR58RVXm>l0%<BU%Acm*l#d*iJkwYIk6D=n%sr1Bc8_*R-u_"
    "5?`dW4Jc0RQ9w;G>MCUC#9@RqBa~oePPJB7m^yqM6T>Cd41KHrDFG|3Ik7x#2h!g4lrXF1-8(hzSB<^ozkPhIy$Q+7IrE^f"
    "Taiq@=l38xMTZ8+l8R>0w;>;B%R=htxL>)Y0c4u3cB|j2B=)MXF|;SOq3sact$jnh;izUz&7;I=hUM%r{4EJ!%)ASkL;64F"
    "@Cl@kUE*j(NL$8)hy+$3H#J=MJKGsCzgZ3(drVyPG4(L7|2_e5M4XA~(zI!hkRPA=YBIQiTEJCf?u&)uTGt@&7}hx%5NpJu"
    "FY50=n(^fz-EGyI7-t?<zUUs%Fwu)VCGy9l{t5D+Qwz>Nf)ZK??4qp{rd3<^=oQlTk6)pS)1k;(k#b<Vuw166cm0aIt7KOH"
    "3d&vLPHoF2&xkR?+~P_N$1~R>&cGZoC(|_Y37MR7Qj(D{=?jI)(sSkwP;$abGp+w81;s8+S(kh}Bd!-N{7^pqg&Ug_(-SIH"
    "BfQvu0pQw>H^8+f4y*X`?){n?XiYU(>mhT8@@l_?0+aL%=bU(~JIcE|FA?oCX4;9!V;W=gd*gIWs#z4yQU5U*cVJuN>uQdX"
    "X!7it<#Ae`(W+3HnARZF%D{r5Z;Y$(n*w|D2CP$=MO-NQFHvmqWr_8B4e~+ESeA#K!xnG9dauzsY+_v&Alq#5hors-pahET"
    "`n>fe@*~eltJ^#19HIaUH?Wdv6;qDSJIzXp7WzrOecY;~^=l}J%<)Rn-h<2qt0uP6h21w7(j2b1x3DPYt|<Iv$iaS@V9B$R"
    "$k7U68Rqq%d)V1CFS5LRTug>>(T7n9WND@t*VsI_(9j@2Q<WNkYEJ(e3e0M(a1{u>0cG_TXiYLE9{EAdvl_<coPGuCAvLkw"
    "MXe*IWF)pF9pRIk;rJRAz<(2necbKNRC^31hd&IM&%*BAo15?1E$w|MNTKP>6RE0(MS`VAfv2z`1-Qe)7~iM1!;;JC4V(0?"
    "IN~gs>|a^Fz+N7*LO}l??lCfR81fS+JK`x6^Ba*di-h0OK7gVx7DT-j5w$O}2b;b~MBMjY5O<{6Ao8t<$fXFvMox<8e@Q{M"
    "VNa%pLvXD#NS}>8v9-P(RwCHs-!5aNLIRePuOK9_O0+{tv_p6*!l1U6=c*O)>h{89l@at+2^kdNi=4pwJ|{RrZTFPT08gP5"
    "js}sj^_$~*o5ScnL(VS3D57z@)$1XM;$(2x=?^$pO5gW2_@VjedrLvzghbzDfW8cf+pT&Jfq1VBMV`mO%)+?zKVVS?1*<)P"
    "?2y~R#i5P68JTD8A!Oaza7bJU%6AqKLUuNCo*CwN#^CuyoceE}pcK###30N%bBK%t3gxtSaUleggrRD*4mAETtg+aJ9%e;m"
    "Lme&>a@?3+T)XDb7;`JQJ8G(69Ov~C6rLIGg)pn%gA#pwesZH9`WciZORRL^j(LIdEQS)DGKM^cg`<T285Fr^Ki-PI2CF^G"
    "n7S9Xgk=33Dgh~$2|OA(WMY_>X`K&FuRY?5=@V_Aj_p%1h5t1H#V-tRD07UnUfFMbMiJH)HUTEnV2r^gKxGYUNXEWw@@84a"
    "80-hD!A8d$@ZSm0maV*WC%+A47aMtT!Dv2kY(K}scL$d3nP=Bxc=<K<p*hCM+eM5^A%ed9vPf&6GJbY?Q3eM--|PS=uMuDl"
    "JNy(^gxq0Ap5ycfGB`C2w4T4CRC#<z>HkVVNvuz-GEg-p<@ClEcqGO`WZ|oZl(ZbXm&%^uzqSb_e}xTKz<(ac&<vsHRu^Y*"
    "3MZw|30Z#+*4lI{*vG|E2hM)KE#LzndC=qz>feB-a>oi=(I*Y1<cXg+j_t5W^LXIqwz_0)U-~u1rTGFhU_HbU3&-AuO{U~I"
    "A=CQUoJU$3!0kn**BZOND-86_3F+JIXg4T6(4(0^@!uuj&XUmUT@rkAPM4aDC@mdwf_7w4-w><Beq4!>TTozxo@aP7H<U_C"
    "ESeOE<?tiOumMKy<O?&MVq1R(na|lFU-2UC-&Q19kI)^G5a+nt7I!QBy1>K+VYD>6Z@CW@uBkp6DX8E}CK%Tr6R@VR#R~5}"
    "WcbB|0O^e|w}@v4vYbm!3XyEMGq3aix@2NU)m2)*gpDvuEUy)Rk}vS*vGnJ7I#M<db#>INCRtW}52esg>EXIu!M5r8+r9~!"
    "O8klKH_4e}oKJ|4$#iB@iLtP52Lr?PZL=q(g!y#smjjwo*<zXcI}R`PvEfXlnU5gD=S^{fdJq;@dHF+~aZ~qr&ICfGao%4s"
    "C<DW&^5SgHWa$R4e+UIt5gs!3TVl7bH~I%B{OnN%Xtw<4B%WHhlxQ;5d?IW<`C{`IP!d7Kg*ayB28dI9)NwxJU?*$k&j~0?"
    "O5EEKdG6#0S%%E$v}b-V@0rRBfT_B)yh^3FqzBfBT(NnCU!@|cPw!1Ltgf)G>of17WzpM4=__s^l-M*~mHGtMDHTf{k1YX6"
    "sF%$7r5o}*E;&<1Z_^c!ewmaWNbM6ZQVLsVQ}T$*hDf$g;4R74xS-?jkudeDzI+5#-xoGy*<;nz%oQt`r%&{2fROtbwxpaG"
    "hr)u2(XgNhp0eMRGL<KsAf|`&Z1NSO4ydpx$W&A%i*!=*QaTl-NANS>FwI8r*&sT!ZAjB^AY$8$_}ZX%;O9~!&r_tzzy<YN"
    "Nq+fTNuGkGTGX+?vcZ$&_dqNqJ=h4hOsvkwA>6~Ph`yJe`3)7zvu>b-l}}v9_{T3k5PS-^7yB`mZ->0Xq8c`qzJs6-mHv&T"
    ">NB_-)zUwv!u&3erGx}Z;;&=SqBndHl!Y8X#_OmTp)`P}xJoGkFBGAQVzCmdfYK7o#Zq_#+c%?J9F6b14|#vIQ9i&GAbZ&9"
    "9n~8x{spel>2{Bg`jw>oc>8~L6HL$"
)
