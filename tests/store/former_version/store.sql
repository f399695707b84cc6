BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0015');
CREATE TABLE bounces (
	"row" INTEGER NOT NULL, 
	subscriber INTEGER, 
	send INTEGER, 
	kind VARCHAR NOT NULL, 
	status VARCHAR, 
	diagnostic TEXT NOT NULL, 
	received_at DATETIME NOT NULL, 
	effect VARCHAR, 
	digest VARCHAR NOT NULL, 
	CONSTRAINT pk_bounces PRIMARY KEY ("row"), 
	CONSTRAINT fk_bounces_subscriber FOREIGN KEY(subscriber) REFERENCES subscribers ("row"), 
	CONSTRAINT fk_bounces_send FOREIGN KEY(send) REFERENCES sends ("row"), 
	CONSTRAINT uq_bounces_digest UNIQUE (digest)
);
INSERT INTO "bounces" VALUES(1,5,4,'hard','5.1.1','550 5.1.1 no such user','2025-11-28 09:00:00.000000','bounced','7aab51cbd982d6538615166c2a9b7ed0077e0793879a6164ad4aff1bae2e7bcb');
CREATE TABLE circuit_breakers (
	account TEXT NOT NULL, 
	refused_in_row INTEGER NOT NULL, 
	since DATETIME, 
	accepted FLOAT NOT NULL, 
	refused FLOAT NOT NULL, 
	counted_at DATETIME NOT NULL, 
	opened_at DATETIME, 
	reason TEXT, 
	probe_at DATETIME, 
	probes INTEGER NOT NULL, 
	CONSTRAINT pk_circuit_breakers PRIMARY KEY (account)
);
INSERT INTO "circuit_breakers" VALUES('main',0,NULL,3.0,1.0,'2025-11-28 09:00:00.000000',NULL,NULL,NULL,0);
CREATE TABLE daily_counts (
	day DATE NOT NULL, 
	state VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_daily_counts PRIMARY KEY (day, state)
);
CREATE TABLE edition_counts (
	edition DATE NOT NULL, 
	state VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_edition_counts PRIMARY KEY (edition, state)
);
CREATE TABLE feedback (
	subscriber INTEGER NOT NULL, 
	paper INTEGER NOT NULL, 
	verdict VARCHAR NOT NULL, 
	interest TEXT, 
	given_at DATETIME NOT NULL, 
	CONSTRAINT pk_feedback PRIMARY KEY (subscriber, paper), 
	CONSTRAINT fk_feedback_paper FOREIGN KEY(paper) REFERENCES papers ("row"), 
	CONSTRAINT fk_feedback_subscriber FOREIGN KEY(subscriber) REFERENCES subscribers ("row")
);
INSERT INTO "feedback" VALUES(1,2,'more','Optimization','2025-11-28 09:00:00.000000');
CREATE TABLE operator_sessions (
	digest VARCHAR NOT NULL, 
	token INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_operator_sessions PRIMARY KEY (digest), 
	CONSTRAINT fk_operator_sessions_token FOREIGN KEY(token) REFERENCES operator_tokens ("row") ON DELETE CASCADE
);
CREATE TABLE operator_tokens (
	"row" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	digest VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	last_used DATETIME, 
	CONSTRAINT uq_operator_tokens_name UNIQUE (name), 
	CONSTRAINT uq_operator_tokens_digest UNIQUE (digest)
);
INSERT INTO "operator_tokens" VALUES(1,'laptop','5809e81d17a49868c80331e0b77567d068f14d913f656f088ce3660b0ad331e9','2025-11-28 09:00:00.000000',NULL,NULL);
CREATE TABLE pace (
	"key" TEXT NOT NULL, 
	next_at DATETIME NOT NULL, 
	held_until DATETIME, 
	held_times INTEGER NOT NULL, 
	CONSTRAINT pk_pace PRIMARY KEY ("key")
);
INSERT INTO "pace" VALUES('main','2026-11-29 03:03:22.668137',NULL,0);
INSERT INTO "pace" VALUES('@example.com','2026-11-29 03:03:06.232019',NULL,0);
CREATE TABLE pace_counts (
	"key" TEXT NOT NULL, 
	minute INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_pace_counts PRIMARY KEY ("key", minute)
);
INSERT INTO "pace_counts" VALUES('main',29932023,7);
INSERT INTO "pace_counts" VALUES('@example.com',29932023,0);
INSERT INTO "pace_counts" VALUES('sign-up afd61ca8ea187c445588b6b4a4896542',29405370,1);
INSERT INTO "pace_counts" VALUES('sign-up cf2da6e4c762f8fd79754f37ef24b31f',29405370,1);
INSERT INTO "pace_counts" VALUES('sign-up 587d304c5efc631517d2cd4bc7ec28ff',29405370,1);
INSERT INTO "pace_counts" VALUES('sign-up 547b6a527ec7a2559e763c41376400fd',29405370,1);
CREATE TABLE papers (
	"row" INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	title TEXT NOT NULL, 
	title_key TEXT NOT NULL, 
	abstract TEXT NOT NULL, 
	authors JSON NOT NULL, 
	author_count INTEGER, 
	organization TEXT, 
	arxiv_id VARCHAR, 
	version INTEGER, 
	doi VARCHAR, 
	published DATE, 
	listed_on DATE, 
	categories JSON NOT NULL, 
	url TEXT, 
	pdf_url TEXT, 
	code_url TEXT, 
	code_stars INTEGER, 
	project_url TEXT, 
	summary TEXT, 
	keywords JSON NOT NULL, 
	upvotes INTEGER, 
	comments INTEGER, 
	sources JSON NOT NULL, 
	first_seen DATETIME NOT NULL, text_change INTEGER DEFAULT '0' NOT NULL, day DATE, 
	CONSTRAINT pk_papers PRIMARY KEY ("row"), 
	CONSTRAINT uq_papers_arxiv_id UNIQUE (arxiv_id), 
	CONSTRAINT uq_papers_doi UNIQUE (doi), 
	CONSTRAINT uq_papers_id UNIQUE (id)
);
INSERT INTO "papers" VALUES(1,'2511.10001','A Benchmark Dataset for Multimodal Prediction of Enzymatic Function Coupling DNA Sequences and Natural Language','abenchmarkdatasetformultimodalpredictionofenzymaticfunctioncouplingdnasequencesandnaturallanguage','Enzymatic function is usually predicted from DNA sequences using categorical labels, though much biological knowledge sits in free-text descriptions of reactions and mechanisms. This dataset and benchmark suite couples g','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10001',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10001','https://arxiv.org/pdf/2511.10001',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(2,'2511.10002','A Tutorial on Bayesian Optimization','atutorialonbayesianoptimization','When each evaluation of a function takes minutes or hours, Bayesian optimization fits a Gaussian process surrogate and uses it to choose the next sample. The tutorial explains the acquisition functions knowledge gradient','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10002',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10002','https://arxiv.org/pdf/2511.10002',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(3,'2511.10003','Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints','beyondreverseklgeneralizingdirectpreferenceoptimizationwithdiversedivergenceconstraints','DPO is known to match RLHF when the regularizer is reverse KL, leaving open what other divergence constraints would offer. Through the Karush-Kuhn-Tucker conditions, f-DPO obtains a tractable link between reward and opti','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10003',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10003','https://arxiv.org/pdf/2511.10003',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(4,'2511.10004','CIVICS: Building a Dataset for Examining Culturally-Informed Values in Large Language Models','civicsbuildingadatasetforexaminingculturallyinformedvaluesinlargelanguagemodels','CIVICS is a hand-crafted multilingual collection of value-laden prompts on immigration, disability rights, LGBTQI rights, surrogacy and social welfare, made to expose the values encoded in open-weight LLMs. Two protocols','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10004',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10004','https://arxiv.org/pdf/2511.10004',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(5,'2511.10005','Compressing Features for Learning with Noisy Labels','compressingfeaturesforlearningwithnoisylabels','Networks trained with noisy labels tend to memorize the corrupted ones. Feature compression through Dropout, or through Nested Dropout, which orders features by importance, is proposed as a regularizer and combined with','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10005',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10005','https://arxiv.org/pdf/2511.10005',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(6,'2511.10006','Diverse Controllable Diffusion Policy with Signal Temporal Logic','diversecontrollablediffusionpolicywithsignaltemporallogic','Driving simulators need road users whose behavior is varied, controllable and lawful, which neither hand-written rules nor imitation from single-outcome data provides. Signal Temporal Logic specifications are calibrated','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10006',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10006','https://arxiv.org/pdf/2511.10006',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(7,'2511.10007','Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in Code Generation','divideandconquermeetsconsensusunleashingthepoweroffunctionsincodegeneration','Language models still falter on programs with intricate requirements, since planning everything beforehand is hard and self-generated tests may be wrong. FunCoder applies divide-and-conquer, recursively spawning sub-func','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10007',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10007','https://arxiv.org/pdf/2511.10007',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(8,'2511.10008','Don''t Play Favorites: Minority Guidance for Diffusion Models','dontplayfavoritesminorityguidancefordiffusionmodels','Diffusion models mostly produce typical samples and seldom reach low-density areas, where rare but informative instances lie. Observing that Tweedie''s denoising formula favors majority data, the work defines a uniqueness','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10008',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10008','https://arxiv.org/pdf/2511.10008',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(9,'2511.10009','Even your Teacher Needs Guidance: Ground-Truth Targets Dampen Regularization Imposed by Self-Distillation','evenyourteacherneedsguidancegroundtruthtargetsdampenregularizationimposedbyselfdistillation','Repeatedly distilling a network into an identical one is known to help generalization, and this theory for kernel regression asks what happens if ground-truth labels are mixed in at each step. Every later fit follows in','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10009',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10009','https://arxiv.org/pdf/2511.10009',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(10,'2511.10010','Gradient is All You Need?','gradientisallyouneed','Consensus-based optimization moves a swarm of particles using objective values only, yet it is shown here to behave like a stochastically relaxed gradient descent. Because the method converges globally for broad classes','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10010',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10010','https://arxiv.org/pdf/2511.10010',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(11,'2511.10011','INFOrmation Prioritization through EmPOWERment in Visual Model-Based RL','informationprioritizationthroughempowermentinvisualmodelbasedrl','Latent world models learned from images often spend capacity on distractors that are irrelevant to control. Adding a variational empowerment term to a mutual information state-space model makes it capture action-correlat','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10011',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10011','https://arxiv.org/pdf/2511.10011',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(12,'2511.10012','InfFeed: Influence Functions as a Feedback to Improve the Performance of Subjective Tasks','inffeedinfluencefunctionsasafeedbacktoimprovetheperformanceofsubjectivetasks','Influence functions normally explain a prediction by tracing it to training examples; InfFeed feeds that signal back into learning. Labels of target instances are adjusted according to their influencers, which raises mac','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10012',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10012','https://arxiv.org/pdf/2511.10012',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(13,'2511.10013','Large Language Models Reflect the Ideology of their Creators','largelanguagemodelsreflecttheideologyoftheircreators','Chatbots now shape how people obtain information, so their political leanings matter. Many popular language models were prompted in English and Chinese to describe controversial figures from recent history, and the moral','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10013',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10013','https://arxiv.org/pdf/2511.10013',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
INSERT INTO "papers" VALUES(14,'2511.10014','Learning Unnormalized Statistical Models via Compositional Optimization','learningunnormalizedstatisticalmodelsviacompositionaloptimization','Energy-based and other unnormalized models are difficult to fit because of the partition function, and noise-contrastive estimation often converges slowly on a flat loss landscape. Writing the log partition function as a','["Ada Loom", "Ben Weft"]',2,NULL,'2511.10014',NULL,NULL,NULL,'2025-11-27','[]','https://arxiv.org/abs/2511.10014','https://arxiv.org/pdf/2511.10014',NULL,NULL,NULL,NULL,'[]',NULL,NULL,'["library"]','2025-11-28 09:00:00.000000',0,'2025-11-27');
CREATE TABLE ranked_with (
	subscriber INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	content JSON NOT NULL, 
	CONSTRAINT pk_ranked_with PRIMARY KEY (subscriber, digest), 
	CONSTRAINT fk_ranked_with_subscriber FOREIGN KEY(subscriber) REFERENCES subscribers ("row")
);
INSERT INTO "ranked_with" VALUES(1,'8364c6d9694c10e0','{"interests": [{"name": "Optimization", "text": "Bayesian optimization and Gaussian processes", "keywords": {"acquisition": 2.0}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.5, "taught_liked": [[2, "2025-11-28T09:00:00+00:00"]], "taught_disliked": []}, {"name": "Preferences", "text": "preference optimization of language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0, "taught_liked": [], "taught_disliked": []}], "never": ["enzymatic"], "max_age_days": 14, "feedback_half_life_days": 90.0, "rules": {"min_score": 0.1, "variety": 0.9, "trending": 3}}');
INSERT INTO "ranked_with" VALUES(2,'cc0154eb0795343b','{"interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0, "taught_liked": [], "taught_disliked": []}], "never": [], "max_age_days": 14, "feedback_half_life_days": 90.0, "rules": {"min_score": 0.1, "variety": 0.9, "trending": 3}}');
INSERT INTO "ranked_with" VALUES(4,'cc0154eb0795343b','{"interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0, "taught_liked": [], "taught_disliked": []}], "never": [], "max_age_days": 14, "feedback_half_life_days": 90.0, "rules": {"min_score": 0.1, "variety": 0.9, "trending": 3}}');
INSERT INTO "ranked_with" VALUES(5,'cc0154eb0795343b','{"interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0, "taught_liked": [], "taught_disliked": []}], "never": [], "max_age_days": 14, "feedback_half_life_days": 90.0, "rules": {"min_score": 0.1, "variety": 0.9, "trending": 3}}');
INSERT INTO "ranked_with" VALUES(6,'cc0154eb0795343b','{"interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0, "taught_liked": [], "taught_disliked": []}], "never": [], "max_age_days": 14, "feedback_half_life_days": 90.0, "rules": {"min_score": 0.1, "variety": 0.9, "trending": 3}}');
INSERT INTO "ranked_with" VALUES(7,'cc0154eb0795343b','{"interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0, "taught_liked": [], "taught_disliked": []}], "never": [], "max_age_days": 14, "feedback_half_life_days": 90.0, "rules": {"min_score": 0.1, "variety": 0.9, "trending": 3}}');
CREATE TABLE scheduled_jobs (
	id VARCHAR(191) NOT NULL, 
	next_run_time FLOAT, 
	job_state BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "scheduled_jobs" VALUES('fetch',1795928400.0,X'80059597010000000000007D94288C0776657273696F6E944B018C026964948C056665746368948C0466756E63948C1D6E6577736C65747465722E7363686564756C653A66657463685F6A6F62948C0774726967676572948C136E6577736C65747465722E7472696767657273948C0C4461696C79547269676765729493942981947D94288C0574696D6573948C086461746574696D65948C0474696D6594939443060600000000009485945294680F4306121E00000000948594529486948C0874696D657A6F6E65948C0D4575726F70652F5669656E6E619475628C086578656375746F729468038C046172677394298C066B7761726773947D948C046E616D65948C0966657463685F6A6F62948C126D6973666972655F67726163655F74696D65944E8C08636F616C6573636594888C0D6D61785F696E7374616E636573944B018C0D6E6578745F72756E5F74696D6594680D8C086461746574696D65949394430A07EA0B1D05000000000094680D8C0874696D657A6F6E65949394680D8C0974696D6564656C74619493944B004B004B00879452948594529486945294752E');
INSERT INTO "scheduled_jobs" VALUES('tick',1.79592144833449506762e+09,X'800595BD010000000000007D94288C0776657273696F6E944B018C026964948C047469636B948C0466756E63948C1C6E6577736C65747465722E7363686564756C653A7469636B5F6A6F62948C0774726967676572948C1D61707363686564756C65722E74726967676572732E696E74657276616C948C0F496E74657276616C547269676765729493942981947D942868014B028C0874696D657A6F6E65948C086461746574696D65948C0874696D657A6F6E65949394680D8C0974696D6564656C74619493944B004B004B0087945294859452948C0A73746172745F6461746594680D8C086461746574696D65949394430A07EA0B1D030408051ABE946815869452948C08656E645F64617465944E8C08696E74657276616C9468114B004B1E4B00879452948C066A6974746572944E75628C086578656375746F72948C0764656661756C74948C046172677394298C066B7761726773947D948C046E616D65948C087469636B5F6A6F62948C126D6973666972655F67726163655F74696D65944E8C08636F616C6573636594888C0D6D61785F696E7374616E636573944B018C0D6E6578745F72756E5F74696D65946818430A07EA0B1D030408051A9F94681586945294752E');
INSERT INTO "scheduled_jobs" VALUES('housekeeping',1796005020.0,X'800595A5010000000000007D94288C0776657273696F6E944B018C026964948C0C686F7573656B656570696E67948C0466756E63948C246E6577736C65747465722E7363686564756C653A686F7573656B656570696E675F6A6F62948C0774726967676572948C136E6577736C65747465722E7472696767657273948C0C4461696C79547269676765729493942981947D94288C0574696D6573948C086461746574696D65948C0474696D659493944306031100000000948594529485948C0874696D657A6F6E65948C0D4575726F70652F5669656E6E619475628C086578656375746F72948C0764656661756C74948C046172677394298C066B7761726773947D948C046E616D65948C10686F7573656B656570696E675F6A6F62948C126D6973666972655F67726163655F74696D65944E8C08636F616C6573636594888C0D6D61785F696E7374616E636573944B018C0D6E6578745F72756E5F74696D6594680D8C086461746574696D65949394430A07EA0B1E02110000000094680D8C0874696D657A6F6E65949394680D8C0974696D6564656C74619493944B004B004B00879452948594529486945294752E');
INSERT INTO "scheduled_jobs" VALUES('bounces',1.79592201833449506762e+09,X'800595BF010000000000007D94288C0776657273696F6E944B018C026964948C07626F756E636573948C0466756E63948C1F6E6577736C65747465722E7363686564756C653A626F756E6365735F6A6F62948C0774726967676572948C1D61707363686564756C65722E74726967676572732E696E74657276616C948C0F496E74657276616C547269676765729493942981947D942868014B028C0874696D657A6F6E65948C086461746574696D65948C0874696D657A6F6E65949394680D8C0974696D6564656C74619493944B004B004B0087945294859452948C0A73746172745F6461746594680D8C086461746574696D65949394430A07EA0B1D030D26051ACD946815869452948C08656E645F64617465944E8C08696E74657276616C9468114B004D58024B00879452948C066A6974746572944E75628C086578656375746F729468038C046172677394298C066B7761726773947D948C046E616D65948C0B626F756E6365735F6A6F62948C126D6973666972655F67726163655F74696D65944E8C08636F616C6573636594888C0D6D61785F696E7374616E636573944B018C0D6E6578745F72756E5F74696D65946818430A07EA0B1D030D26051A9F94681586945294752E');
CREATE TABLE send_papers (
	send INTEGER NOT NULL, 
	rank INTEGER NOT NULL, 
	subscriber INTEGER NOT NULL, 
	paper INTEGER NOT NULL, 
	score FLOAT NOT NULL, 
	section TEXT NOT NULL, 
	because TEXT NOT NULL, 
	released BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_send_papers PRIMARY KEY (send, rank), 
	CONSTRAINT fk_send_papers_paper FOREIGN KEY(paper) REFERENCES papers ("row"), 
	CONSTRAINT fk_send_papers_send FOREIGN KEY(send) REFERENCES sends ("row"), 
	CONSTRAINT fk_send_papers_subscriber FOREIGN KEY(subscriber) REFERENCES subscribers ("row")
);
INSERT INTO "send_papers" VALUES(1,1,1,12,1.53740852790733517618e-01,'Optimization','explain, functions; like “A Tutorial on Bayesian Optimization”',0);
INSERT INTO "send_papers" VALUES(1,2,1,9,1.5332556082735154801e-01,'Optimization','fit; like “A Tutorial on Bayesian Optimization”',0);
INSERT INTO "send_papers" VALUES(1,3,1,8,1.52833941987423060915e-01,'Optimization','samples; like “A Tutorial on Bayesian Optimization”',0);
INSERT INTO "send_papers" VALUES(1,4,1,3,9.49664168634926086909e-01,'Preferences','preference optimization',0);
INSERT INTO "send_papers" VALUES(1,5,1,13,0.794725327742319,'Preferences','language models',0);
INSERT INTO "send_papers" VALUES(1,6,1,4,0.64171439550705,'Preferences','language models',0);
INSERT INTO "send_papers" VALUES(2,1,2,1,9.48687715101796724681e-01,'gene sequences and language models','sequences, language',0);
INSERT INTO "send_papers" VALUES(2,2,2,13,8.75443122166491560776e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(2,3,2,4,7.69720955448166432866e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(2,4,2,7,5.5664794910328019295e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(2,5,2,11,0.25935576801709,'gene sequences and language models','model',0);
INSERT INTO "send_papers" VALUES(2,6,2,8,2.38596560375535421405e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(2,7,2,14,2.22781078200863541516e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(3,1,4,1,9.48687715101796724681e-01,'gene sequences and language models','sequences, language',0);
INSERT INTO "send_papers" VALUES(3,2,4,13,8.75443122166491560776e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(3,3,4,4,7.69720955448166432866e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(3,4,4,7,5.5664794910328019295e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(3,5,4,11,0.25935576801709,'gene sequences and language models','model',0);
INSERT INTO "send_papers" VALUES(3,6,4,8,2.38596560375535421405e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(3,7,4,14,2.22781078200863541516e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(4,1,5,1,9.48687715101796724681e-01,'gene sequences and language models','sequences, language',1);
INSERT INTO "send_papers" VALUES(4,2,5,13,8.75443122166491560776e-01,'gene sequences and language models','language models',1);
INSERT INTO "send_papers" VALUES(4,3,5,4,7.69720955448166432866e-01,'gene sequences and language models','language models',1);
INSERT INTO "send_papers" VALUES(4,4,5,7,5.5664794910328019295e-01,'gene sequences and language models','language models',1);
INSERT INTO "send_papers" VALUES(4,5,5,11,0.25935576801709,'gene sequences and language models','model',1);
INSERT INTO "send_papers" VALUES(4,6,5,8,2.38596560375535421405e-01,'gene sequences and language models','models',1);
INSERT INTO "send_papers" VALUES(4,7,5,14,2.22781078200863541516e-01,'gene sequences and language models','models',1);
INSERT INTO "send_papers" VALUES(5,1,6,1,9.48687715101796724681e-01,'gene sequences and language models','sequences, language',0);
INSERT INTO "send_papers" VALUES(5,2,6,13,8.75443122166491560776e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(5,3,6,4,7.69720955448166432866e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(5,4,6,7,5.5664794910328019295e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(5,5,6,11,0.25935576801709,'gene sequences and language models','model',0);
INSERT INTO "send_papers" VALUES(5,6,6,8,2.38596560375535421405e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(5,7,6,14,2.22781078200863541516e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(6,1,7,1,9.48687715101796724681e-01,'gene sequences and language models','sequences, language',0);
INSERT INTO "send_papers" VALUES(6,2,7,13,8.75443122166491560776e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(6,3,7,4,7.69720955448166432866e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(6,4,7,7,5.5664794910328019295e-01,'gene sequences and language models','language models',0);
INSERT INTO "send_papers" VALUES(6,5,7,11,0.25935576801709,'gene sequences and language models','model',0);
INSERT INTO "send_papers" VALUES(6,6,7,8,2.38596560375535421405e-01,'gene sequences and language models','models',0);
INSERT INTO "send_papers" VALUES(6,7,7,14,2.22781078200863541516e-01,'gene sequences and language models','models',0);
CREATE TABLE sending_pauses (
	"row" INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_sending_pauses PRIMARY KEY ("row")
);
CREATE TABLE sends (
	"row" INTEGER NOT NULL, 
	edition DATE NOT NULL, 
	subscriber INTEGER NOT NULL, 
	email TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	message_id TEXT NOT NULL, 
	considered INTEGER NOT NULL, 
	since DATETIME, 
	seen_row INTEGER NOT NULL, 
	planned_at DATETIME NOT NULL, 
	claimed_at DATETIME, 
	claimed_by TEXT, 
	settled_at DATETIME, 
	not_before DATETIME, 
	attempts INTEGER NOT NULL, 
	smtp_reply TEXT, 
	reason TEXT, space VARCHAR, ranked_with VARCHAR, after_row INTEGER, domain TEXT DEFAULT '' NOT NULL, wire_at DATETIME, account TEXT, 
	CONSTRAINT pk_sends PRIMARY KEY ("row"), 
	CONSTRAINT fk_sends_subscriber FOREIGN KEY(subscriber) REFERENCES subscribers ("row"), 
	CONSTRAINT uq_sends_edition_subscriber UNIQUE (edition, subscriber), 
	CONSTRAINT uq_sends_message_id UNIQUE (message_id)
);
INSERT INTO "sends" VALUES(1,'2025-11-28',1,'ada@example.org','sent','<20251128.d83edd600ca893d7620b8d4a@example.org>',12,NULL,14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,'2025-11-28 09:00:00.000000',NULL,1,'250 taken',NULL,'20251128-128ed76e','8364c6d9694c10e0',0,'example.org',NULL,'main');
INSERT INTO "sends" VALUES(2,'2025-11-28',2,'ben@example.net','sent','<20251128.1ff3d05ddaa6d373ed954b60@example.org>',14,NULL,14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,'2025-11-28 09:00:00.000000',NULL,1,'250 taken',NULL,'20251128-128ed76e','cc0154eb0795343b',0,'example.net',NULL,'main');
INSERT INTO "sends" VALUES(3,'2025-11-28',4,'uma@example.net','sent','<20251128.6107f4ca10adb5d4ec86c625@example.org>',14,NULL,14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,'2025-11-28 09:00:00.000000',NULL,1,'250 taken',NULL,'20251128-128ed76e','cc0154eb0795343b',0,'example.net',NULL,'main');
INSERT INTO "sends" VALUES(4,'2025-11-28',5,'gone@example.net','failed','<20251128.d8d4635223ff9162f6dd1e88@example.org>',14,NULL,14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,'2025-11-28 09:00:00.000000',NULL,1,'550 5.1.1 no such user','the mail server refused it for good','20251128-128ed76e','cc0154eb0795343b',0,'example.net',NULL,'main');
INSERT INTO "sends" VALUES(5,'2025-11-28',6,'defer@example.net','deferred','<20251128.eb32059b1ff92f2c17f257b4@example.org>',14,NULL,14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,'2025-11-28 09:00:00.000000','2025-11-28 09:05:19.389695',1,'451 4.3.0 try later','the mail server asked to try again later','20251128-128ed76e','cc0154eb0795343b',0,'example.net',NULL,'main');
INSERT INTO "sends" VALUES(6,'2025-11-28',7,'hal@example.net','sent','<20251128.3cdd3784c5db75cf567a98e9@example.org>',14,NULL,14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,'2025-11-28 09:00:00.000000',NULL,1,'250 taken',NULL,'20251128-128ed76e','cc0154eb0795343b',0,'example.net',NULL,'main');
CREATE TABLE sign_ups (
	"row" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	email_key TEXT NOT NULL, 
	email TEXT NOT NULL, 
	preferences JSON NOT NULL, 
	network TEXT NOT NULL, 
	asked_at DATETIME NOT NULL, 
	not_before DATETIME, 
	attempts INTEGER NOT NULL
, kind TEXT DEFAULT 'sign_up' NOT NULL, subscriber INTEGER, new_email TEXT);
INSERT INTO "sign_ups" VALUES(1,'new@example.net','new@example.net','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "diffusion models", "text": "diffusion models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}','127.0.0.0/24','2025-11-28 09:30:01.340370',NULL,1,'sign_up',NULL,NULL);
CREATE TABLE solved_challenges (
	digest VARCHAR NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_solved_challenges PRIMARY KEY (digest)
);
CREATE TABLE sources (
	name VARCHAR NOT NULL, 
	last_try DATETIME NOT NULL, 
	last_success DATETIME, 
	papers INTEGER, 
	new_papers INTEGER, 
	bad_papers INTEGER, 
	error TEXT, 
	CONSTRAINT pk_sources PRIMARY KEY (name)
);
INSERT INTO "sources" VALUES('library','2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',14,14,0,NULL);
CREATE TABLE "subscribers" (
	"row" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	email TEXT NOT NULL, 
	email_key TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	consent TEXT NOT NULL, 
	preferences JSON NOT NULL, 
	file TEXT, 
	file_digest VARCHAR, 
	next_due DATETIME, 
	last_digest DATETIME, 
	seen_row INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	state_since DATETIME NOT NULL, paused_until DATETIME, link_version INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT uq_subscribers_email_key UNIQUE (email_key), 
	CONSTRAINT uq_subscribers_file UNIQUE (file)
);
INSERT INTO "subscribers" VALUES(1,'ada@example.org','ada@example.org','active','file ada.yaml','{"name": "Ada", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "time": "07:00", "timezone": "Europe/Vienna"}, "papers": 6, "interests": [{"name": "Optimization", "text": "Bayesian optimization and Gaussian processes", "keywords": {"acquisition": 2.0}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.5}, {"name": "Preferences", "text": "preference optimization of language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": ["enzymatic"]}','ada.yaml','ebc45635f657417ae3175e593cd91aa285514bf18bf93f61906c26559c125a6c','2025-11-29 06:00:00.000000','2025-11-28 09:00:00.000000',14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(2,'ben@example.net','ben@example.net','active','import people.csv','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}',NULL,NULL,'2025-12-01 07:30:00.000000','2025-11-28 09:00:00.000000',14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(3,'pau@example.net','pau@example.net','paused','import people.csv','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}',NULL,NULL,NULL,NULL,0,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(4,'uma@example.net','uma@example.net','unsubscribed','import people.csv','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}',NULL,NULL,NULL,'2025-11-28 09:00:00.000000',14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(5,'gone@example.net','gone@example.net','bounced','import people.csv','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}',NULL,NULL,NULL,NULL,0,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(6,'defer@example.net','defer@example.net','active','import people.csv','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}',NULL,NULL,'2025-12-01 07:30:00.000000',NULL,0,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(7,'hal@example.net','hal@example.net','active','import people.csv','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [{"name": "gene sequences and language models", "text": "gene sequences and language models", "keywords": {}, "liked": [], "disliked": [], "authors": [], "categories": [], "weight": 1.0}], "never": []}',NULL,NULL,'2025-12-01 07:30:00.000000','2025-11-28 09:00:00.000000',14,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000',NULL,0);
INSERT INTO "subscribers" VALUES(8,'new@example.net','new@example.net','pending','asked for on the site, not confirmed','{"name": "", "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "time": "07:30", "timezone": "UTC"}, "papers": 10, "interests": [], "never": []}',NULL,NULL,NULL,NULL,0,'2025-11-28 09:30:01.671677','2025-11-28 09:30:01.671677',NULL,0);
CREATE TABLE suppressions (
	address_digest VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	since DATETIME NOT NULL, 
	CONSTRAINT pk_suppressions PRIMARY KEY (address_digest)
);
INSERT INTO "suppressions" VALUES('d553f611992a9a3e5fabe7f2610580c1a020e519e043c607b937aaf103477435','bounced','2025-11-28 09:00:00.000000');
INSERT INTO "suppressions" VALUES('6449923a595027bac79cfcf94ed8eda8ebb023659a9e15f2dfa81f5af29d3941','unsubscribed','2025-11-28 09:00:00.000000');
CREATE TABLE validators (
	url TEXT NOT NULL, 
	etag TEXT, 
	last_modified TEXT, 
	CONSTRAINT pk_validators PRIMARY KEY (url)
);
CREATE TABLE workers (
	name TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	last DATETIME NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (name, state)
);
INSERT INTO "workers" VALUES('host/20935/74c05c88-3878866/1','sent',4,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000');
INSERT INTO "workers" VALUES('host/20935/74c05c88-3878866/1','failed',1,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000');
INSERT INTO "workers" VALUES('host/20935/74c05c88-3878866/1','deferred',1,'2025-11-28 09:00:00.000000','2025-11-28 09:00:00.000000');
CREATE INDEX ix_papers_first_seen ON papers (first_seen);
CREATE INDEX ix_papers_listed_on ON papers (listed_on);
CREATE INDEX ix_papers_title_key ON papers (title_key);
CREATE UNIQUE INDEX uq_send_papers_subscriber_paper ON send_papers (subscriber, paper) WHERE released = 0;
CREATE INDEX ix_papers_text_change ON papers (text_change);
CREATE INDEX ix_bounces_subscriber_received_at ON bounces (subscriber, received_at);
CREATE INDEX ix_sends_subscriber_state ON sends (subscriber, state);
CREATE INDEX ix_bounces_send ON bounces (send);
CREATE INDEX ix_papers_day_upvotes_comments ON papers (day, upvotes, comments);
CREATE INDEX ix_sign_ups_email_key ON sign_ups (email_key);
CREATE INDEX ix_sign_ups_not_before ON sign_ups (not_before);
CREATE INDEX ix_sends_edition_state ON sends (edition, state);
CREATE INDEX ix_subscribers_state_next_due_row ON subscribers (state, next_due, "row");
CREATE INDEX ix_subscribers_state_state_since ON subscribers (state, state_since);
CREATE INDEX ix_subscribers_state_paused_until ON subscribers (state, paused_until);
CREATE INDEX ix_subscribers_created_at ON subscribers (created_at);
CREATE INDEX ix_sends_state_not_before_row_domain ON sends (state, not_before, "row", domain);
CREATE INDEX ix_bounces_received_at ON bounces (received_at);
CREATE INDEX ix_operator_sessions_token ON operator_sessions (token);
CREATE INDEX ix_sign_ups_subscriber ON sign_ups (subscriber);
CREATE INDEX ix_solved_challenges_expires_at ON solved_challenges (expires_at);
CREATE INDEX ix_scheduled_jobs_next_run_time ON scheduled_jobs (next_run_time);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('subscribers',8);
INSERT INTO "sqlite_sequence" VALUES('sign_ups',1);
INSERT INTO "sqlite_sequence" VALUES('operator_tokens',1);
COMMIT;
