-- Schema of the storage backend, version 3 (see schema.py).
-- Timestamps are in milliseconds and distinct within a collection. Strings are
-- ordered by code point, independent of the locale of the database.

-- The number of records is in the same row as the timestamp, which every write
-- locks anyway, so that totals of lists need no count. The timestamp of a row that
-- was only locked is 0.
CREATE TABLE cliquet_collections (
    collection bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    last_modified bigint NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    UNIQUE (parent_id, collection_id)
) WITH (fillfactor = 50);

-- One row: the timestamp of collections that were never written, which is the time when this table
-- was created or last flushed.
CREATE TABLE cliquet_epoch (
    moment bigint NOT NULL
);

INSERT INTO cliquet_epoch (moment)
    VALUES (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1);

-- The data are of type json, which preserves its text. In jsonb, 1e30 would
-- become an integer, and -0.0 would lose its sign.
CREATE TABLE cliquet_records (
    collection bigint NOT NULL,
    last_modified bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (collection, id)
);

-- For pages in the default order.
CREATE UNIQUE INDEX cliquet_records_by_time ON cliquet_records (collection, last_modified);

-- Tombstones are in a separate table so that they don't slow down pages of records.
CREATE TABLE cliquet_tombstones (
    collection bigint NOT NULL,
    last_modified bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (collection, id)
);

CREATE UNIQUE INDEX cliquet_tombstones_by_time ON cliquet_tombstones (collection, last_modified);

-- The sort key of a value: the rank of its type, then a number (also for
-- booleans), then the UTF-8 of a string, or of the JSON of an array or object.
CREATE TYPE cliquet_key AS (rank integer, number numeric, text bytea);

-- Returns the key of a value, or of a missing value for NULL. The number of a JSON number is its
-- exact value within 64 bits, otherwise the shortest decimal of its float, and 1e310 for
-- infinity. The function only uses what comes with PostgreSQL, because it builds indexes
-- with a restricted search path. Create an index for a field that is often sorted or filtered by:
--   CREATE INDEX ON cliquet_records (collection, cliquet_key(data -> 'field'), last_modified);
CREATE FUNCTION cliquet_key(value json) RETURNS cliquet_key
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    raw text := value::text;
    rank integer := 2;
    number numeric := 0;
    bytes bytea := '';
    float double precision;
BEGIN
    CASE left(raw, 1)
    WHEN '"' THEN
        rank := 1;
        bytes := convert_to(value #>> '{}', 'UTF8');
    WHEN 't', 'f' THEN
        rank := 3;
        number := CASE raw WHEN 'true' THEN 1 ELSE 0 END;
    WHEN 'n' THEN
        rank := 0;
    WHEN '[', '{' THEN
        rank := CASE left(raw, 1) WHEN '[' THEN 4 ELSE 5 END;
        bytes := convert_to(raw, 'UTF8');
    ELSE
        IF raw IS NULL THEN
            rank := 6;
        ELSIF raw !~ '[.eE]' AND (length(raw) < 19
            OR raw::numeric BETWEEN -9223372036854775808 AND 9223372036854775807) THEN
            number := raw::numeric;
        ELSIF length(raw) > 308 AND abs(raw::numeric) >= 2::numeric ^ 1024 - 2::numeric ^ 970 THEN
            number := sign(raw::numeric) * 1e310;
        ELSE
            float := raw::double precision;
            IF float = trunc(float) AND float >= -9223372036854775808::double precision
                AND float < 9223372036854775808::double precision THEN
                number := float::bigint;
            ELSE
                number := float::text::numeric;
            END IF;
        END IF;
    END CASE;
    RETURN (rank, number, bytes);
END $$;

-- Returns the string in a JSON value with its case folded as in Unicode 14, for ``like_``; NULL for
-- other values. Lists of letters and of their folded forms are much faster than a lookup for each
-- letter, and only applied to strings that need them. Create an index for such filters by:
--   CREATE EXTENSION pg_trgm;
--   CREATE INDEX ON cliquet_records USING gin (cliquet_fold(data -> 'field') gin_trgm_ops);
CREATE FUNCTION cliquet_fold(value json) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- Common letters first: Latin, Greek, Cyrillic, others.
    upper CONSTANT text[] := ARRAY[
        'µÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻ'
        'ĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽſ',
        'ͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫςϏϐϑϕϖϘϚϜϞϠϢϤϦϨϪϬϮϰϱϴϵϷ'
        'ϹϺϽϾϿ',
        'ЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶ'
        'ѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶ'
        'ӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮ',
        'ƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱ'
        'ǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃɄɅɆɈɊɌɎͅ',
        'ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵ'
        'ႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᏸᏹᏺᏻᏼᏽᲀᲁᲂᲃᲄᲅᲆᲇᲈᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪ'
        'ᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿ',
        'ḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶ'
        'ṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẛẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶ'
        'ỸỺỼỾἈἉἊἋἌἍἎἏἘἙἚἛἜἝἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍὙὛὝὟὨὩὪὫὬὭὮὯᾸᾹᾺΆιῈΈῊ'
        'ΉῘῙῚΊῨῩῪΎῬῸΌῺΏ',
        'ΩKÅℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌ'
        'ⰍⰎⰏⰐⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒ'
        'ⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠ'
        'ꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻ'
        'ꝽꝾꞀꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟐꟖꟘꟵꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽ'
        'ꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹ'
        'ꮺꮻꮼꮽꮾꮿＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚𐐛'
        '𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼'
        '𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤'
        '𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊𖹋𖹌𖹍'
        '𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜𖹝𖹞𖹟𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡'];
    folded CONSTANT text[] := ARRAY[
        'μàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļ'
        'ľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžs',
        'ͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋσϗβθφπϙϛϝϟϡϣϥϧϩϫϭϯκρθεϸ'
        'ϲϻͻͼͽ',
        'ѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷ'
        'ѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷ'
        'ӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯ',
        'ɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳ'
        'ǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀʉʌɇɉɋɍɏι',
        'աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕ'
        'ⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭᏰᏱᏲᏳᏴᏵвдосттъѣꙋაბგდევზთიკლმნოპჟრსტუფქღყშჩც'
        'ძწჭხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿ',
        'ḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷ'
        'ṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕṡạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷ'
        'ỹỻỽỿἀἁἂἃἄἅἆἇἐἑἒἓἔἕἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅὑὓὕὗὠὡὢὣὤὥὦὧᾰᾱὰάιὲέὴ'
        'ήῐῑὶίῠῡὺύῥὸόὼώ',
        'ωkåⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼ'
        'ⰽⰾⰿⱀⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓ'
        'ⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡ'
        'ꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼ'
        'ᵹꝿꞁꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊꟑꟗꟙꟶᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭ'
        'ᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩ'
        'ᏪᏫᏬᏭᏮᏯａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂𐑃'
        '𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣'
        '𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤'
        '𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪𖹫𖹬𖹭'
        '𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼𖹽𖹾𖹿𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃'];
    -- Letters whose folded form has several letters.
    compound CONSTANT text :=
        'ßİŉǰΐΰևẖẗẘẙẚẞὐὒὔὖᾀᾁᾂᾃᾄᾅᾆᾇᾈᾉᾊᾋᾌᾍᾎᾏᾐᾑᾒᾓᾔᾕᾖᾗᾘᾙᾚᾛᾜᾝᾞᾟᾠᾡᾢᾣᾤᾥᾦᾧᾨᾩᾪ'
        'ᾫᾬᾭᾮᾯᾲᾳᾴᾶᾷᾼῂῃῄῆῇῌῒΐῖῗῢΰῤῦῧῲῳῴῶῷῼﬀﬁﬂﬃﬄﬅﬆﬓﬔﬕﬖﬗ';
    expanded CONSTANT text[] := ARRAY[
        'ss', 'i̇', 'ʼn', 'ǰ', 'ΐ', 'ΰ', 'եւ', 'ẖ', 'ẗ', 'ẘ', 'ẙ', 'aʾ', 'ss',
        'ὐ', 'ὒ', 'ὔ', 'ὖ', 'ἀι', 'ἁι', 'ἂι', 'ἃι', 'ἄι', 'ἅι', 'ἆι', 'ἇι',
        'ἀι', 'ἁι', 'ἂι', 'ἃι', 'ἄι', 'ἅι', 'ἆι', 'ἇι', 'ἠι', 'ἡι', 'ἢι', 'ἣι', 'ἤι',
        'ἥι', 'ἦι', 'ἧι', 'ἠι', 'ἡι', 'ἢι', 'ἣι', 'ἤι', 'ἥι', 'ἦι', 'ἧι', 'ὠι', 'ὡι',
        'ὢι', 'ὣι', 'ὤι', 'ὥι', 'ὦι', 'ὧι', 'ὠι', 'ὡι', 'ὢι', 'ὣι', 'ὤι', 'ὥι', 'ὦι',
        'ὧι', 'ὰι', 'αι', 'άι', 'ᾶ', 'ᾶι', 'αι', 'ὴι', 'ηι', 'ήι', 'ῆ', 'ῆι', 'ηι',
        'ῒ', 'ΐ', 'ῖ', 'ῗ', 'ῢ', 'ΰ', 'ῤ', 'ῦ', 'ῧ', 'ὼι', 'ωι', 'ώι',
        'ῶ', 'ῶι', 'ωι', 'ff', 'fi', 'fl', 'ffi', 'ffl', 'st', 'st', 'մն', 'մե',
        'մի', 'վն', 'մխ'];
    result text;
BEGIN
    IF json_typeof(value) IS DISTINCT FROM 'string' THEN
        RETURN NULL;
    END IF;
    result := lower((value #>> '{}') COLLATE "C");
    IF octet_length(result) = length(result) THEN
        RETURN result;
    END IF;
    FOR number IN 1 .. cardinality(upper) LOOP
        IF result ~ ('[' || upper[number] || ']') THEN
            result := translate(result, upper[number], folded[number]);
        END IF;
    END LOOP;
    IF result ~ ('[' || compound || ']') THEN
        FOR number IN 1 .. cardinality(expanded) LOOP
            result := replace(result, substr(compound, number, 1), expanded[number]);
        END LOOP;
    END IF;
    RETURN result;
END $$;

-- Returns the keys of the elements of a JSON array, NULL for other values, for ``contains_``. Create
-- an index for such filters by:
--   CREATE INDEX ON cliquet_records USING gin (cliquet_elements(data -> 'field'));
CREATE FUNCTION cliquet_elements(value json) RETURNS cliquet_key[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN json_typeof(value) = 'array' THEN
    ARRAY(SELECT cliquet_key(element) FROM json_array_elements(value) AS element) END;

-- Locks the row of a collection until the end of the transaction, and returns it.
-- Creates it if needed.
CREATE FUNCTION cliquet_lock(of_parent text, of_collection text, moment bigint)
RETURNS cliquet_collections
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections;
BEGIN
    LOOP
        SELECT * INTO locked FROM cliquet_collections
            WHERE parent_id = of_parent AND collection_id = of_collection FOR UPDATE;
        IF FOUND THEN
            RETURN locked;
        END IF;
        INSERT INTO cliquet_collections (parent_id, collection_id, last_modified)
            VALUES (of_parent, of_collection, 0)
            ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

-- Locks the collection, then reads one of its records; ``latest`` is the collection's timestamp.
CREATE FUNCTION cliquet_get_for_update(
    of_parent text, of_collection text, moment bigint, of_id text,
    OUT latest bigint, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections := cliquet_lock(of_parent, of_collection, moment);
BEGIN
    latest := locked.last_modified;
    IF latest = 0 THEN
        latest := (SELECT coalesce(max(epoch.moment), 0) FROM cliquet_epoch AS epoch);
    END IF;
    SELECT found.last_modified, found.data INTO last_modified, data
        FROM cliquet_records AS found
        WHERE found.collection = locked.collection AND found.id = of_id;
END $$;

-- Returns the requested timestamp, or the next one that no other record or tombstone of the
-- collection has.
CREATE FUNCTION cliquet_free(of_collection bigint, of_id text, asked bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    free bigint := asked;
    taken bigint;
BEGIN
    FOR taken IN
        SELECT last_modified FROM cliquet_records
            WHERE collection = of_collection AND last_modified >= asked AND id <> of_id
        UNION ALL
        SELECT last_modified FROM cliquet_tombstones
            WHERE collection = of_collection AND last_modified >= asked
        ORDER BY last_modified
    LOOP
        EXIT WHEN taken > free;
        free := taken + 1;
    END LOOP;
    RETURN free;
END $$;

-- Returns the timestamp of a change of a locked collection, and updates the timestamp and the
-- number of records of the collection.
CREATE FUNCTION cliquet_move(
    locked cliquet_collections, of_id text, asked bigint, moment bigint, change integer)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    next bigint := greatest(moment, locked.last_modified + 1);
    own bigint;
BEGIN
    IF locked.last_modified = 0 THEN
        next := greatest(next,
            (SELECT max(epoch.moment) + 1 FROM cliquet_epoch AS epoch));
    END IF;
    own := next;
    IF asked IS NOT NULL THEN
        own := cliquet_free(locked.collection, of_id, asked);
        IF own > locked.last_modified THEN
            next := own;
        END IF;
    END IF;
    UPDATE cliquet_collections SET last_modified = next, count = count + change
        WHERE collection = locked.collection;
    RETURN own;
END $$;

-- Returns the number of the first of the ``fields`` whose value another record has.
CREATE FUNCTION cliquet_same(
    of_collection bigint, of_id text, fields text[], keys cliquet_key[],
    OUT place integer, OUT id text, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
BEGIN
    FOR number IN 1 .. coalesce(array_length(fields, 1), 0) LOOP
        SELECT number, found.id, found.last_modified, found.data
            INTO place, id, last_modified, data
            FROM cliquet_records AS found
            WHERE found.collection = of_collection AND found.id <> of_id
                AND cliquet_key(found.data -> fields[number]) = keys[number]
            LIMIT 1;
        EXIT WHEN FOUND;
    END LOOP;
END $$;

-- Writes a record, unless it conflicts with another one: then ``own`` is NULL, and the
-- other record is returned, with the number of the unique field, 0 for the id.
CREATE FUNCTION cliquet_write(
    of_parent text, of_collection text, moment bigint,
    replace boolean, of_id text, asked bigint, document json, fields text[], keys cliquet_key[],
    OUT own bigint, OUT place integer, OUT id text, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections := cliquet_lock(of_parent, of_collection, moment);
    old_time bigint;
BEGIN
    SELECT found.last_modified INTO old_time FROM cliquet_records AS found
        WHERE found.collection = locked.collection AND found.id = of_id;
    IF old_time IS NOT NULL AND NOT replace THEN
        SELECT 0, found.id, found.last_modified, found.data INTO place, id, last_modified, data
            FROM cliquet_records AS found
            WHERE found.collection = locked.collection AND found.id = of_id;
        RETURN;
    END IF;
    IF fields IS NOT NULL THEN
        SELECT same.place, same.id, same.last_modified, same.data
            INTO place, id, last_modified, data
            FROM cliquet_same(locked.collection, of_id, fields, keys) AS same;
        IF place IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    IF old_time IS NOT NULL THEN
        own := cliquet_move(locked, of_id, nullif(asked, old_time), moment, 0);
        UPDATE cliquet_records AS found SET last_modified = own, data = document
            WHERE found.collection = locked.collection AND found.id = of_id;
    ELSE
        DELETE FROM cliquet_tombstones AS found
            WHERE found.collection = locked.collection AND found.id = of_id;
        own := cliquet_move(locked, of_id, asked, moment, 1);
        INSERT INTO cliquet_records (collection, last_modified, id, data)
            VALUES (locked.collection, own, of_id, document);
    END IF;
END $$;

-- Deletes a record, and returns the time of the deletion; NULL if it doesn't exist.
CREATE FUNCTION cliquet_delete(
    of_parent text, of_collection text, moment bigint, of_id text, asked bigint, keep boolean)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections;
    old_time bigint;
    own bigint;
BEGIN
    SELECT * INTO locked FROM cliquet_collections
        WHERE parent_id = of_parent AND collection_id = of_collection FOR UPDATE;
    SELECT last_modified INTO old_time FROM cliquet_records
        WHERE collection = locked.collection AND id = of_id;
    IF old_time IS NULL THEN
        RETURN NULL;
    END IF;
    own := cliquet_move(locked, of_id, nullif(asked, old_time), moment, -1);
    DELETE FROM cliquet_records WHERE collection = locked.collection AND id = of_id;
    IF keep THEN
        INSERT INTO cliquet_tombstones (collection, last_modified, id)
            VALUES (locked.collection, own, of_id);
    END IF;
    RETURN own;
END $$;
