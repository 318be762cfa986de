"""Words for foods that contain an allergen, and for drugs: data only. `naming` finds them.

What counts as containing an allergen follows the labels that Korean and European law want:
별표 2 of 식품 등의 표시·광고에 관한 법률 시행규칙 (egg, milk, peanut, soybean, wheat, mackerel,
crab, shrimp, squid, shellfish, pine nut, …) and Annex II of Regulation (EU) 1169/2011 (cereals
with gluten: wheat, rye, barley, oats; crustaceans, fish, molluscs, milk with lactose, nuts by
name). A dish is listed under everything that its usual recipe holds: soy sauce is brewed with
wheat, kimchi with salted shrimp, Korean breads with milk and egg. Where recipes differ the dish is
listed: one too many costs one more question to the model, one too few can hurt somebody.

Not listed, with reasons: chestnut, acorn, coconut and sesame (no nuts in either law), noodles of
mung bean and sweet potato, buckwheat by itself (no gluten; its noodles mostly are mixed with wheat
and are listed), peas and beans other than soy, seaweed, oils that do not name a bean. Soybean
sprouts (콩나물) and peanuts (as nuts) are listed.
"""

FOODS = """
gluten: 밀가루 통밀 호밀 우리밀 밀빵 밀떡 밀쌀 밀기울 밀순 소맥 세몰리나 듀럼 쿠스쿠스 불구르
gluten: 세이탄 밀고기 맥아 엿기름 식혜 맥주 귀리 오트밀 뮤즐리 찰보리 꽁보리 국수 우동 라멘
gluten: 파스타 스파게티 마카로니 링귀네 푸실리 페투치네 뇨끼 쫄면 냉면 막국수 컵라면 신라면
gluten: 김치라면 해물라면 짜장라면 매운라면 비빔면 볶음면 수제비 만두 딤섬 춘권 튀김가루
gluten: 부침가루 바게트 치아바타 베이글 또띠아 토르티야 크래커 프레첼 떡볶이 시리얼 콘플레이크
gluten: 카레 하이라이스 치킨 탕수육 깐풍기 닭강정 호떡
gluten soy: 고추장 쌈장 춘장 된장 짜장 자장면 불고기 갈비찜 장조림 찜닭 잡채 데리야끼 데리야키
gluten soy: 떡갈비 돼지갈비 우스터소스 제육볶음 라볶이 국간장 진간장 양조간장 맛간장 저염간장
gluten soy: 조림간장
gluten soy egg: 비빔밥
gluten lactose egg: 빵 케이크 케익 머핀 와플 팬케이크 핫케이크 도넛 카스테라 카스텔라 크루아상
gluten lactose egg: 크로와상 브리오슈 스콘 비스킷 비스켓 쿠키 호두과자 생과자 밀과자 타르트
gluten lactose egg: 에클레어 크레페 마들렌 휘낭시에 토스트 샌드위치 햄버거 치즈버거 수제버거
gluten lactose egg: 핫도그 애플파이 초코파이 호두파이 페이스트리 츄러스 카르보나라 까르보나라
gluten lactose: 라자냐 그라탱 그라탕
gluten egg: 부침개 빈대떡 동그랑땡 돈가스 돈까스 돈카츠 커틀릿 커틀렛 생선가스 튀김 덴푸라
gluten egg: 오코노미야키 타코야키
gluten egg soy seafood: 어묵 오뎅 게맛살 핫바 짬뽕
lactose: 우유 유제품 치즈 요거트 요구르트 야쿠르트 요플레 버터 크림 젤라토 연유 분유 유청 카제인
lactose: 카세인 라떼 카페라테 카푸치노 마키아토 마끼아또 프라푸치노 카페오레 밀크 셰이크 쉐이크
lactose: 리코타 모짜렐라 모차렐라 파르메산 파마산 까망베르 카망베르 코티지 고르곤졸라 마스카포네
lactose: 케피어 케피르 발효유 산양유 산양젖 소젖 양젖 염소젖 초콜릿 초콜렛 초코 캐러멜 카라멜
lactose: 퐁듀 락토스 락토오스 빙수
lactose egg: 푸딩 커스터드 티라미수
nut: 땅콩 피넛 견과 아몬드 호두 캐슈 피스타치오 피칸 마카다미아 헤이즐넛 헤이즐너트 브라질너트
nut: 브라질넛 누텔라 프랄린 마지팬 너트류 넛바 너트바 그래놀라 그라놀라 에너지바 믹스넛 닭강정
nut lactose egg: 마카롱
nut lactose: 페스토
seafood: 해산물 수산물 어패류 생선 물고기 갑각류 조개 홍합 가리비 바지락 꼬막 골뱅이 굴소스 굴비
seafood: 생굴 오징어 낙지 주꾸미 쭈꾸미 꼴뚜기 새우 꽃게 홍게 털게 킹크랩 꽃게장 간장게장
seafood: 양념게장 크랩 랍스터 로브스터 바닷가재 고등어 갈치 삼치 연어 참치 명태 황태 북어 코다리
seafood: 노가리 대구탕 가자미 광어 우럭 장어 멸치 꽁치 정어리 청어 과메기 임연수 아귀찜 아구찜
seafood: 다랑어 가쓰오 가츠오 쥐포 회덮밥 회무침 활어회 광어회 생선회 참치회 모둠회 북엇국
seafood: 황탯국 동탯국 초밥 사시미 젓갈 액젓 까나리 명란 매운탕 추어탕 미꾸라지 해삼 멍게 성게
seafood: 미더덕 피시소스 피쉬 캐비어 안초비 앤초비 김치 깍두기 겉절이 동치미
seafood egg soy gluten: 김밥
egg: 계란 달걀 닭알 에그 오믈렛 오므라이스 마요네즈 참치마요 마요소스 스크램블 메추리알 오리알
egg: 반숙란 구운란 맥반석란 노른자 흰자 머랭 훈제란 타르타르 떡국 볶음밥 유정란 무정란
soy: 콩나물 두부 두유 청국장 낫토 낫또 템페 콩국수 콩가루 인절미 콩기름 콩비지 비지찌개 검은콩
soy: 검정콩 서리태 에다마메 풋콩 콩자반 콩고기 레시틴 소이라떼 소이라테 소이밀크
"""
"""Korean words that betray a food wherever they stand in a word, by its allergens."""

FOODS_AT_START = """
gluten: 라면 소면 중면 밀면 면요리 면류 면발 면을 보리 오트 소바
gluten soy: 간장
gluten lactose egg: 과자
gluten lactose: 피자
gluten egg: 파전 부추전 김치전 감자전 호박전 동태전 육전 해물파전 전병
lactose: 라테 체다 라씨 탈지유 산유
nut: 잣죽 잣가루 강정
seafood: 해물 전복 소라 문어 도미 전어 민어 농어 복어 한치회 방어회 병어 동태 대구살 대구찜
seafood: 대구전 대구구이 대게 게를 게와 게살 게장 게찜 게탕 굴전 굴국 굴밥 굴튀김 굴젓 석화
seafood: 대하구이 대하찜 참조기 조기구이 조기찜 물회 스시 새우젓 알탕 창난젓 어란 어포
gluten seafood: 굴전
egg: 수란 지단 난황 난백
soy: 대두 유부 메주 콩국 콩물 콩밥 콩조림 미소국 미소된장 미소장국 미소시루 순두부
"""
"""Korean words that are a food at the beginning of a word; inside one they are something else."""

QUALITIES = """
유기농 수제 저염 저지방 무가당 무염 즉석 인스턴트 냉동 생 햇 군 찐 삶은 구운 볶은 데친 매운 국산
전통 순 왕 미니 통
"""
"""What may stand before a food in the same word: a word begins after it too."""

FOODS_ALONE = """
gluten: 밀
gluten lactose egg: 버거 파이
nut: 잣 넛 너트
seafood: 굴 대구 아귀 가재
soy: 콩 비지
"""
"""Short Korean words that are a food only as a word by themselves (콩, but not 콩팥)."""

FOODS_ENGLISH = """
gluten: wheat flour bread toast bagel baguette pasta spaghetti macaroni noodle ramen udon
gluten: cracker pretzel barley rye oat oatmeal malt beer couscous seitan bulgur semolina gluten
gluten: dumpling cereal tortilla bbang guksu mandu
gluten soy: ganjang gochujang doenjang
gluten lactose egg: cake cookie biscuit muffin waffle pancake doughnut donut croissant pastry
gluten lactose egg: sandwich burger hamburger
gluten lactose: pizza lasagna
lactose: milk cheese yogurt yoghurt butter cream dairy latte cappuccino whey casein lactose
lactose: kefir custard mozzarella ricotta cheddar milkshake chocolate uyu
nut: nut peanut almond walnut cashew pistachio pecan macadamia hazelnut praline nutella granola
nut: marzipan ttangkong
seafood: fish seafood shellfish shrimp prawn crab lobster clam oyster mussel squid octopus
seafood: salmon tuna cod mackerel anchovy sardine scallop sushi sashimi herring trout eel caviar
seafood: saeu kimchi
egg: egg omelet omelette mayonnaise mayo meringue gyeran dalgyal
soy: soy soya soybean tofu edamame tempeh miso natto dubu
"""
"""English words and romanised Korean ones, found as whole words, plural or not."""

FOODS_OTHER = """
gluten: 小麦 小麥 麺 麵 パン うどん 🍞 🥐 🥖 🫓 🥨 🥯 🍜 🍝 🍕 🍔 🌭 🥪 🍩 🍪 🎂 🍰 🧁 🥧 🥟 🥞
gluten: 🧇 🍺 🍻 🌮 🌯 🌾
lactose: 牛乳 牛奶 乳製品 🥛 🧀 🧈 🍦 🍨 🍧 🍕 🎂 🍰 🧁 🍫 🍮
nut: 胡桃 落花生 🥜 🌰
seafood: 海産物 海鮮 🐟 🐠 🐡 🦐 🦀 🦞 🦑 🐙 🦪 🍣 🍤 🍥
egg: 鷄卵 鶏卵 鸡蛋 🥚 🍳 🎂 🍰 🧁 🥞 🧇 🍮
soy: 豆腐 大豆 豆乳 醬油 醤油 🫘
"""
"""Hanja, kana and pictures."""

HARMLESS = r"""
gluten: 빵빵\w*
gluten: (?:글루텐_프리|무_?글루텐|쌀|현미|옥수수)_(?:빵|국수|파스타|쿠키|과자|케이크|시리얼|또띠아)
gluten: gluten_free_(?:bread|pasta|oat|cereal|cookie|cake|noodle|flour)s?
gluten: (?:rice|corn)_(?:flour|noodle)s?
gluten: (?:한|중|미|영|외)국수\w* 경우동\w* 지만두\w* 보리수 밀면서
lactose: (?:코코넛|아몬드|귀리|오트|쌀|캐슈|식물성)_(?:우유|밀크|요거트|요구르트|크림)
lactose: 코코넛버터
lactose: (?:락토_?프리|무_?유당|유당_?제거|유당_?분해)_(?:우유|치즈|요거트|요구르트|버터|밀크)
lactose: (?:lactose|dairy)_free_(?:milk|cheese|yogurt|yoghurt|butter) (?:땅콩|피넛|아몬드)_버터
lactose: 버터헤드\w* 버터넛\w*
lactose: (?:peanut|almond|nut)_butter (?:coconut|almond|oat|rice|soy)_(?:milk|cream)
lactose: (?:선|썬|핸드|보습|영양|풋|차단)_?크림\w* (?:sun|hand)_cream 밀크시슬 수분유지\w*
lactose egg gluten: 빵빵\w*
egg: 무_?(?:계란|달걀) (?:계란|에그)_?프리 egg_free_(?:mayonnaise|cake|cookie)?
soy: (?:완두|강낭|병아리|렌틸|렌즈|제비|작두|동부|커피)_콩\w* 땅콩\w* 콩팥\w* 콩닥\w* 모두부\w*
soy: 대두(?:되|된|하|했)\w*
soy: 유부(?:남|녀)\w*
nut: 의견과\w* 발견과\w* 편견과\w* 잣대\w*
seafood: (?:밤|날)(?:을|도|만)?_새(?:우|웠|워)\w* 새우(?:지|다|며|거나)_?\w* 자연어\w*
seafood: 도미(?:노|토리)\w*
seafood: 전복(?:되|된)\w* 문어체 가재도구\w* 농어촌\w* 학생선\w* (?:비건|채식)_김치
"""
"""Patterns of what holds a listed word and is no such food, by allergen; `_` is an optional gap.

What is free of an allergen is harmless only where the word for that stands right before the food's.
"""

DRUGS = """
로페라미드 로페라마이드 지사제 변비약 설사약 설사제 완하제 관장약 좌약 소화제 위장약 위산억제제
제산제 진경제 항경련제 진통제 해열제 소염제 항생제 항우울제 항불안제 신경안정제 수면제
수면유도제 멜라토닌 항히스타민 스테로이드 면역억제제 감기약 두통약 처방약 의약품 약물치료
약물요법 알약 물약 가루약 한약 복용량 복용하 복용해 투약 처방받 타이레놀 아세트아미노펜
이부프로펜 부루펜 나프록센 아스피린 게보린 펜잘 판피린 부스코판 스멕타 정로환 로프민 둘코락스
비사코딜 마그밀 수산화마그네슘 락툴로오스 듀파락 아락실 차전자피제 센노사이드 폴리에틸렌글리콜
오메프라졸 란소프라졸 넥시움 파모티딘 라니티딘 겔포스 개비스콘 훼스탈 베아제 활명수 돔페리돈
모사프리드 가스모틴 메토클로프라미드 트리메부틴 메베베린 듀스파탈린 오틸로늄 피나베륨
티로프라미드 스코폴라민 히오신 디시클로민 리팍시민 리나클로타이드 루비프로스톤 프루칼로프라이드
알로세트론 라모세트론 이리보 엘룩사돌린 아미트립틸린 노르트립틸린 이미프라민 설트랄린 졸로프트
플루옥세틴 프로작 파록세틴 시탈로프람 렉사프로 둘록세틴 알프라졸람 자낙스 디아제팜 발륨 로라제팜
졸피뎀 스틸녹스 트라조돈 디펜히드라민 독시라민 메트로니다졸 시프로플록사신 아목시실린
프레드니솔론 메살라민 설파살라진 코데인 트라마돌 모르핀 시메티콘 시메치콘 판크레아틴
콜레스티라민 덱시부프로펜 케토프로펜 록소프로펜 세티리진 로라타딘
"""
"""Korean names of drugs and of their kinds: what people with irritable bowels meet first."""

DRUGS_ENGLISH = """
loperamide imodium laxative antidiarrheal antispasmodic antacid painkiller analgesic antibiotic
antidepressant steroid melatonin acetaminophen paracetamol tylenol ibuprofen advil motrin
naproxen aspirin buscopan hyoscine smecta bisacodyl dulcolax lactulose senna sennoside
omeprazole lansoprazole esomeprazole nexium famotidine ranitidine domperidone mosapride
metoclopramide trimebutine mebeverine otilonium pinaverium dicyclomine rifaximin linaclotide
linzess lubiprostone prucalopride alosetron ramosetron eluxadoline amitriptyline nortriptyline
imipramine sertraline zoloft fluoxetine prozac paroxetine citalopram escitalopram lexapro
duloxetine alprazolam xanax diazepam valium lorazepam zolpidem ambien trazodone diphenhydramine
benadryl doxylamine metronidazole ciprofloxacin amoxicillin prednisolone mesalamine
sulfasalazine codeine tramadol morphine simethicone pancreatin medication prescription pill
dosage drug
"""
"""The same in English."""
